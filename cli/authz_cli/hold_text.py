"""Holds for a person at a terminal: lists, and one whole page for what is to be decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import holds_pb2
from authz_cli.changes import change_lines
from authz_cli.conversation import Found, conversation, found_texts
from authz_cli.hold_context import context_facts
from authz_cli.hold_json import state_word
from authz_cli.laid_out import is_of, laid_out
from authz_cli.moments import distance, length, moment
from authz_cli.safe_text import safe_line, wrapped
from authz_cli.table import table

HEADS = ("ID", "STATE", "CALLER", "MODEL", "RULE", "ENDS", "WAITING")
WIDE = (*HEADS, "VOTES", "CLAIMED", "OPENED", "SESSION", "DIGEST")

_ACTS = {
    holds_pb2.ACT_KIND_CLAIM: "Claim",
    holds_pb2.ACT_KIND_UNCLAIM: "Unclaim",
    holds_pb2.ACT_KIND_COMMENT: "Comment",
    holds_pb2.ACT_KIND_WITHDRAW: "Withdrew",
    holds_pb2.ACT_KIND_REVIEW: "Reviewed",
    holds_pb2.ACT_KIND_EDIT: "Editor",
    holds_pb2.ACT_KIND_RESPOND: "Writer",
}
_SUPERSEDING = (("grant_", "grant"), ("ses_", "session"))
_SILENCE = {
    "pending": "without the votes by then it is refused: silence is no consent",
    "approved": "not sent yet, and if it is not by then, the approval lapses",
    "rejected": "until then the same request gets this rejection",
}

_NOT_LAID_OUT = {
    holds_pb2.LEFT_OUT_UNSPECIFIED: "Shown as it is, since the server has another version",
    holds_pb2.LEFT_OUT_NOT_JSON: "Shown as it is, since it is a form",
    holds_pb2.LEFT_OUT_UNREADABLE: "Shown as it is, not searched: its model API does not read it any more",
    holds_pb2.LEFT_OUT_TOO_MANY_VALUES: (
        "Shown as it is, since it has too many values: not searched, and what in it is no text is not listed"
    ),
    holds_pb2.LEFT_OUT_TOO_LARGE: "Shown as it is, since it is too large to be laid out",
}


def local(at: Timestamp) -> datetime:
    """A time that knows its zone."""
    return at.ToDatetime(tzinfo=UTC)


def holds_table(holds: Sequence[holds_pb2.Hold], *, now: datetime, is_wide: bool = False) -> str:
    """One line for each hold; `is_wide` adds columns."""
    if is_wide:
        return table(WIDE, [(*_row(hold, now), *_more(hold, now)) for hold in holds])
    return table(HEADS, [_row(hold, now) for hold in holds])


def hold_line(hold: holds_pb2.Hold, *, now: datetime) -> str:
    """One hold in one line, for a list that grows."""
    return "  ".join(safe_line(cell) or "-" for cell in _row(hold, now))


def hold_page(
    hold: holds_pb2.Hold,
    *,
    now: datetime,
    width: int | None,
    context: holds_pb2.HoldContext | None = None,
    edits: Sequence[holds_pb2.Edit] = (),
) -> Iterator[str]:
    """Everything about a hold: the body first, whole, so that what is to be decided stands last."""
    context = context or holds_pb2.HoldContext()
    yield f"Hold {safe_line(hold.id)}: {state_word(hold.state)}"
    yield ""
    is_answer = hold.HasField("answer")
    whole = "but for what is concealed from you" if hold.concealed else "whole, as it would go"
    yield f"What would go to the {'caller' if is_answer else 'model'}, {whole}"
    yield from _body(hold, context, width)
    if context.in_answer:
        yield "Found in it"
        yield from found_texts(list(map(_in_answer, context.in_answer)), width)
    for edit in edits:
        yield from _edit(edit, hold, width)
    yield ""
    facts = [*_who(hold), *_why(hold), *context_facts(context, now), *_when(hold, now)]
    for name, text in facts:
        # Wrapped here, or a name with many spaces in it could put words of its own below ours.
        first, *more = wrapped(text, max(width - 12, 20)) if width else [text]
        yield f"{name + ':':<10}{first}"
        yield from (" " * 10 + piece for piece in more)


def _body(hold: holds_pb2.Hold, context: holds_pb2.HoldContext, width: int | None) -> Iterator[str]:
    """As the service has laid it out; else as it is, with a word on why."""
    if context.HasField("conversation") and is_of(context.conversation, hold.forward):
        yield from laid_out(context.conversation, width)
        return
    is_answer = hold.HasField("answer")
    if context.HasField("conversation"):
        yield "The server has laid out other words than are in these bytes, which are shown as they are"
    elif not is_answer:
        yield _NOT_LAID_OUT.get(context.left_out, _NOT_LAID_OUT[holds_pb2.LEFT_OUT_UNSPECIFIED])
    yield from conversation(hold.forward, width=width, is_answer=is_answer)


def _edit(edit: holds_pb2.Edit, hold: holds_pb2.Hold, width: int | None) -> Iterator[str]:
    by = next((act.name or act.person_subject for act in hold.acts if act.id == edit.act), "a reviewer")
    if edit.missing:
        yield safe_line(f"What {by} changed is not told: {edit.missing}")
        return
    yield safe_line(f"What {by} changed")
    yield from change_lines(edit.changes, width)


def _in_answer(text: holds_pb2.FoundText) -> tuple[str, str, list[Found]]:
    return text.name, text.text, [Found(f.start, f.end, f.entity) for f in text.found]


def _who(hold: holds_pb2.Hold) -> Iterator[tuple[str, str]]:
    caller = hold.caller
    groups = ", ".join(caller.groups) or "no groups"
    more = "" if caller.groups_complete else ", perhaps more groups"
    person = f", person {caller.person}" if caller.person else ""
    yield "Caller", safe_line(f"{caller.subject} ({groups}{more}) of {caller.issuer}{person}")
    if hold.source:
        yield "From", safe_line(hold.source)
    yield "Asks", safe_line(f"{hold.model} by {hold.api} {hold.operation}")
    if hold.is_edited:
        yield "Edited", "what is above is what a reviewer made of the request; votes before that are void"
    if hold.is_response:
        yield "By", "a reviewer: the model is not asked; votes before that are void"
    if hold.HasField("answer"):
        yield "Answer", safe_line(f"status {hold.answer.status}, {hold.answer.content_type}; {_masked(hold)}")
    yield "Session", safe_line(hold.session)


def _why(hold: holds_pb2.Hold) -> Iterator[tuple[str, str]]:
    yield "Rule", safe_line(f"{hold.rule}: {hold.reason}" if hold.reason else hold.rule)
    found = ", ".join(f"{name} x{count}" for name, count in sorted(hold.findings.items()))
    yield "Found", safe_line(found) or "nothing"
    for value in hold.unread:
        yield "Unread", safe_line(_unread(value))
    if hold.previous:
        yield "Before", safe_line(f"the same request had hold {hold.previous}; see: authz hold show")


def _masked(hold: holds_pb2.Hold) -> str:
    masked = ", ".join(f"{name} x{count}" for name, count in sorted(hold.answer.masked.items()))
    return f"masked in it: {masked}" if masked else "nothing is masked in it"


def _unread(value: holds_pb2.Unread) -> str:
    """What nobody here has read, so that a reviewer knows what to look at for themselves."""
    shown = value.type or (f"a URL, {value.scheme}" if value.scheme else "of no known type")
    said = f", declared as {value.declared}" if value.mismatch else ""
    digest = f", sha256 {value.sha256}" if value.sha256 else ""
    return f"{value.kind}: {shown}{said}, {value.size} bytes{digest}, at {value.path}"


def _when(hold: holds_pb2.Hold, now: datetime) -> Iterator[tuple[str, str]]:
    state = state_word(hold.state)
    yield "Opened", moment(local(hold.created_at), now=now)
    for stage in hold.stages:
        yield "Stage", _stage(stage, hold)
    for vote in hold.votes:
        yield "Vote", _vote(vote, now)
    for act in hold.acts:
        yield _ACTS.get(act.kind, "Act"), _act(act, now)
    if hold.HasField("claim"):
        until = moment(local(hold.claim.until), now=now)
        yield "Claimed", f"by {safe_line(hold.claim.name or hold.claim.person_subject)}, until {until}"
    if hold.review == holds_pb2.REVIEW_STATE_DUE:
        yield (
            "Review",
            safe_line(f"it was decided alone; somebody else has to review it: authz hold review {hold.id}"),
        )
    if state in _SILENCE:
        soon = "soon, " if hold.is_due_soon else ""
        yield "Ends", f"{soon}{moment(local(hold.deadline), now=now)}; {_SILENCE[state]}"
    for stage in hold.stages:
        if stage.HasField("escalates_at"):
            yield "Then", _escalation(stage, now)
    if hold.released_to:
        yield "Released", safe_line(f"to session {hold.released_to}")
    if hold.superseded_by:
        what = next((noun for start, noun in _SUPERSEDING if hold.superseded_by.startswith(start)), "hold")
        why = ", whose request the rules refuse by now, or let through without asking" * (what == "session")
        see = f"authz {what} show {hold.superseded_by}"
        yield "Superseded", safe_line(f"by {what} {hold.superseded_by}{why}; see: {see}")
    if state in ("pending", "approved"):
        yield "Waiting", f"{hold.waiting} open connection(s)" if hold.waiting else _nobody(state)
    if hold.concealed:
        what = ", ".join(f"{name} x{count}" for name, count in sorted(hold.concealed.items()))
        yield (
            "Hidden",
            safe_line(f"{what}; a placeholder stands for each, and the digest is with the values"),
        )
    yield "Digest", f"sha256 {safe_line(hold.digest)}"


def _nobody(state: str) -> str:
    """With what becomes of an approval: its caller has left, or the rules refused it at its release."""
    later = "; it goes out if its caller sends it again by then, and the rules let it through"
    return "nobody at the moment" + later * (state == "approved")


def _stage(stage: holds_pb2.Stage, hold: holds_pb2.Hold) -> str:
    mine = ", yours" if _is_mine(stage, hold) else ""
    is_open = "open" if stage.is_open else "not open"
    voters = "1 person" if stage.votes == 1 else f"{stage.votes} people"
    has = f", {stage.counted} so far" if stage.counted else ""
    reviewers, within = stage.reviewers, stage.within
    if stage.is_escalated:
        is_open, reviewers, within = "escalated", stage.escalation.reviewers, stage.escalation.within
    hours = f" of business hours in {stage.hours.zone}" if stage.HasField("hours") else ""
    return safe_line(
        f"{stage.ref.approval} {stage.ref.stage + 1} ({is_open}{mine}): {voters}{has} for whom "
        f"{reviewers}, within {length(within.ToTimedelta())}{hours}"
    )


def _escalation(stage: holds_pb2.Stage, now: datetime) -> str:
    at = moment(local(stage.escalates_at), now=now)
    return safe_line(
        f"from {at} on, {stage.ref.approval} {stage.ref.stage + 1} is for whom "
        f"{stage.escalation.reviewers}, for {length(stage.escalation.within.ToTimedelta())}"
    )


def _vote(vote: holds_pb2.Vote, now: datetime) -> str:
    verdict = "for" if vote.verdict == holds_pb2.VERDICT_APPROVE else "against"
    reason = f", saying: {vote.reason}" if vote.reason else ""
    who = vote.name or vote.voter_subject
    alone = ", alone" if vote.break_glass else ""
    back = ", taken back since" if vote.HasField("withdrawn_at") else ""
    back += ", void since what it was on was changed" if vote.is_void else ""
    at = moment(local(vote.at), now=now)
    return f"{verdict}{alone}, by {safe_line(who)}, {at}{back}{safe_line(reason)}"


def _is_mine(stage: holds_pb2.Stage, hold: holds_pb2.Hold) -> bool:
    this = (stage.ref.approval, stage.ref.stage, stage.is_escalated)
    return any((ref.approval, ref.stage, ref.is_escalated) == this for ref in hold.may_vote_in)


def _act(act: holds_pb2.Act, now: datetime) -> str:
    text = f": {act.text}" if act.text else ""
    who = act.name or act.person_subject
    return f"{safe_line(who)}, {moment(local(act.at), now=now)}{safe_line(text)}"


def _row(hold: holds_pb2.Hold, now: datetime) -> tuple[str, ...]:
    is_ending = state_word(hold.state) in _SILENCE
    ends = distance(local(hold.deadline), now=now) if is_ending else "-"
    caller = hold.caller.person or hold.caller.subject
    if hold.is_due_soon:
        ends += ", soon"
    return (hold.id, state_word(hold.state), caller, hold.model, hold.rule, ends, str(hold.waiting))


def _more(hold: holds_pb2.Hold, now: datetime) -> tuple[str, ...]:
    votes = ", ".join(f"{stage.counted}/{stage.votes}" for stage in hold.stages if stage.is_open)
    claimed = hold.claim.name or hold.claim.person_subject
    opened = distance(local(hold.created_at), now=now)
    return (votes, claimed, opened, hold.session, hold.digest)
