"""Grants for a person at a terminal, and as JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from authz_api.v1 import grants_pb2 as pb
from authz_cli.hold_json import Object, time_text, vote_object
from authz_cli.hold_text import local
from authz_cli.moments import distance, moment
from authz_cli.safe_text import safe_line
from authz_cli.table import table

HEADS = ("ID", "STATE", "FOR", "RULES", "MODEL", "USED", "ENDS")
WIDE = (*HEADS, "TOOLS", "TEMPLATE", "APPROVALS", "VOTES", "HOLD")


def state_word(state: int) -> str:
    """`proposed`, `active`, ...; `unknown` for one that this program is too old to know."""
    if state not in pb.GrantState.values() or state == pb.GRANT_STATE_UNSPECIFIED:
        return "unknown"
    return pb.GrantState.Name(pb.GrantState.ValueType(state)).removeprefix("GRANT_STATE_").lower()


def whom(grant: pb.Grant) -> str:
    """Whom it is for."""
    return f"group {grant.group}" if grant.group else grant.subject


def grants_table(grants: Sequence[pb.Grant], *, now: datetime, is_wide: bool) -> str:
    """One line for each grant; `is_wide` adds columns."""
    if is_wide:
        return table(WIDE, [(*_row(grant, now), *_more(grant)) for grant in grants])
    return table(HEADS, [_row(grant, now) for grant in grants])


def _row(grant: pb.Grant, now: datetime) -> tuple[str, ...]:
    ends = grant.deadline if grant.state == pb.GRANT_STATE_PROPOSED else grant.until
    state = state_word(grant.state) + (" (void)" if _is_void(grant) else "")
    state += " (damaged)" if grant.is_damaged else ""
    used = f"{grant.used}/{grant.uses}"
    return (
        grant.id,
        state,
        whom(grant),
        ",".join(grant.rules),
        grant.model,
        used,
        distance(local(ends), now=now),
    )


def _more(grant: pb.Grant) -> tuple[str, ...]:
    voters = ",".join(vote.name or vote.voter_subject for vote in grant.votes)
    template = grant.template[:12] or "any"
    return (",".join(grant.tools), template, ",".join(grant.approvals), voters, grant.hold)


def grant_page(grant: pb.Grant, *, now: datetime) -> Iterator[str]:
    """All of a grant, in lines that are safe to print."""
    yield f"Grant {grant.id}: {state_word(grant.state)}"
    for name, text in (*_terms(grant, now), *_story(grant, now)):
        yield f"{name + ':':<12}{safe_line(text)}"


def _terms(grant: pb.Grant, now: datetime) -> Iterator[tuple[str, str]]:
    """From the very bytes that a vote names by their digest."""
    terms = json.loads(grant.terms)
    kind, (issuer, name) = next(iter(terms["for"].items()))
    yield "For", f"{'group ' if kind == 'group' else ''}{name} of {issuer}"
    if terms.get("unchanged"):
        yield "As long as", f"the caller's {', '.join(terms['unchanged'])} stay as they are"
    yield "Asking", f"{terms['model']} by {terms['api']} {terms['operation']}"
    yield "Held by", ", ".join(terms["rules"])
    yield "Tools", f"at most {', '.join(terms['tools'])}" if terms["tools"] else "none"
    yield "Content", f"text, {', '.join(terms['unread'])}" if terms["unread"] else "text alone"
    template = terms["template"]
    yield "Text", f"only the newest user turn may differ ({template[:12]}...)" if template else "any"
    yield "Instead of", ", ".join(approval["name"] for approval in terms["approvals"])
    yield "Uses", f"{grant.used} of {terms['uses']}"
    yield "Until", moment(datetime.fromtimestamp(terms["until"], UTC), now=now)
    yield "Digest", grant.digest


def _story(grant: pb.Grant, now: datetime) -> Iterator[tuple[str, str]]:
    yield "Made from", f"hold {grant.hold}, session {grant.session}"
    for vote in grant.votes:
        reason = f", saying: {vote.reason}" if vote.reason else ""
        at = moment(local(vote.at), now=now)
        yield "Vote", f"for, by {vote.name or vote.voter_subject}{reason}, {at}"
    if grant.open_stages:
        stages = ", ".join(f"{ref.approval} {ref.stage + 1}" for ref in grant.open_stages)
        yield "Lacks", f"votes in {stages}, until {moment(local(grant.deadline), now=now)}"
    if grant.is_damaged:
        yield "Damaged", f"what is stored of its hold; it lets nothing through: authz grant revoke {grant.id}"
    if _is_void(grant):
        yield "Void", "the approvals in force are defined otherwise now, so it lets nothing through"
    for use in grant.let_through:
        yield "Use", f"{use.number}: session {use.session}, {moment(local(use.at), now=now)}"
    if grant.HasField("revoked_at"):
        reason = f", saying: {grant.revoke_reason}" if grant.revoke_reason else ""
        yield "Revoked", f"by {grant.revoked_by}{reason}, {moment(local(grant.revoked_at), now=now)}"


def _is_void(grant: pb.Grant) -> bool:
    return grant.is_void and grant.state in (pb.GRANT_STATE_PROPOSED, pb.GRANT_STATE_ACTIVE)


def grant_object(grant: pb.Grant) -> Object:
    """One grant. Times are RFC 3339 in UTC."""
    return {
        "id": grant.id,
        "state": state_word(grant.state),
        "hold": grant.hold,
        "session": grant.session,
        "issuer": grant.issuer,
        "caller": grant.subject or None,
        "group": grant.group or None,
        "rules": list(grant.rules),
        "model": grant.model,
        "tools": list(grant.tools),
        "unread": list(grant.unread),
        "api": grant.api,
        "operation": grant.operation,
        "template": grant.template or None,
        "unchanged": list(grant.unchanged),
        "approvals": list(grant.approvals),
        "uses": grant.uses,
        "used": grant.used,
        "until": time_text(grant.until),
        "created_at": time_text(grant.created_at),
        "deadline": time_text(grant.deadline) if grant.state == pb.GRANT_STATE_PROPOSED else None,
        "digest": grant.digest,
        "void": grant.is_void,
        "damaged": grant.is_damaged,
        "version": grant.version,
        "votes": [vote_object(vote) for vote in grant.votes],
        "open_stages": [{"approval": ref.approval, "stage": ref.stage} for ref in grant.open_stages],
        "revoked_at": time_text(grant.revoked_at) if grant.HasField("revoked_at") else None,
        "revoked_by": grant.revoked_by or None,
        "revoke_reason": grant.revoke_reason or None,
        "let_through": [
            {"number": use.number, "session": use.session, "at": time_text(use.at)}
            for use in grant.let_through
        ],
    }
