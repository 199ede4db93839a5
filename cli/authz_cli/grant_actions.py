"""What the commands of `authz grant` do, once they are called."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import click

from authz_api.v1 import grants_pb2 as pb
from authz_api.v1 import holds_pb2
from authz_cli.exits import Exit, Failure
from authz_cli.grant_client import GrantClient, connect
from authz_cli.grant_options import Filters, Wanted
from authz_cli.grant_text import grant_object, grant_page, grants_table, state_word, whom
from authz_cli.hold_actions import print_page, require_shown_bytes, require_terminal
from authz_cli.hold_text import local
from authz_cli.listed import first_of
from authz_cli.moments import moment
from authz_cli.options import Target
from authz_cli.safe_text import safe_line


def propose(
    target: Target,
    hold: str,
    wanted: Wanted,
    *,
    reason: str,
    digest: str | None,
    is_sure: bool,
    as_json: bool,
) -> None:
    """Show the hold that a grant is made from, ask, and vote for these terms."""
    with connect(target) as client:
        answer = client.hold(hold)
        require_shown_bytes(answer.hold)
        _require_digest(digest, answer.hold.digest, f"hold {answer.hold.id}", "hold")
        if not as_json:
            print_page(answer)
        if not is_sure:
            require_terminal(as_json=as_json)
            _confirm(_question(answer.hold, wanted))
        request = pb.CreateGrantRequest(
            hold=answer.hold.id,
            digest=answer.hold.digest,
            group=wanted.group,
            rules=wanted.rules,
            tools=wanted.tools,
            model=wanted.model,
            same_template=wanted.same_template,
            uses=wanted.uses,
            reason=reason,
        )
        request.until.FromDatetime(wanted.until.replace(microsecond=0))
        made = client.create(request)
    _tell(made.grant, local(made.as_of), as_json=as_json)


def approve_one(
    target: Target, name: str, *, reason: str, digest: str | None, is_sure: bool, as_json: bool
) -> None:
    """Show the terms of a proposal, ask, and vote for exactly these."""
    with connect(target) as client:
        found = client.grant(name)
        grant = found.grant
        _require_shown_terms(grant)
        _require_digest(digest, grant.digest, f"grant {grant.id}", "grant")
        if grant.state != pb.GRANT_STATE_PROPOSED:
            message = f"grant {grant.id} is {state_word(grant.state)}: there is nothing to vote for"
            raise Failure(message, Exit.CONFLICT)
        if not as_json:
            _print(grant, local(found.as_of))
        if not is_sure:
            require_terminal(as_json=as_json)
            _confirm(f"Let such requests through, {grant.uses} of them?")
        made = client.agree(grant.id, digest=grant.digest, reason=reason)
    _tell(made.grant, local(made.as_of), as_json=as_json)


def show_list(target: Target, filters: Filters, *, limit: int, is_wide: bool, as_json: bool) -> None:
    """Print a list of grants."""
    with connect(target) as client:
        chosen = first_of(client.grants(_request(client, filters)), limit)
    if as_json:
        click.echo(json.dumps([grant_object(grant) for grant, _ in chosen], indent=2))
    elif not chosen:
        click.echo("no grants")
    else:
        now = local(chosen[0][1].as_of)
        click.echo(grants_table([grant for grant, _ in chosen], now=now, is_wide=is_wide))


def show_one(target: Target, name: str, *, as_json: bool) -> None:
    """Print one grant."""
    with connect(target) as client:
        found = client.grant(name)
    _require_shown_terms(found.grant)
    if as_json:
        click.echo(json.dumps(grant_object(found.grant), indent=2))
    else:
        _print(found.grant, local(found.as_of))


def revoke_one(
    target: Target, name: str, *, reason: str, is_to_kill: bool, is_sure: bool, as_json: bool
) -> None:
    """End one."""
    with connect(target) as client:
        grant, known = client.endable(name)
        if not is_sure:
            of = ", which cannot be read" if known is None else f" for {safe_line(whom(known))}"
            more = ", and what runs under it" if is_to_kill else ""
            _confirm(f"End grant {safe_line(grant)}{of}{more}?")
        end = client.revoke(grant, reason=reason, is_to_kill=is_to_kill)
    if as_json:
        click.echo(json.dumps(grant_object(end.grant) | {"ended": list(end.sessions)}, indent=2))
        return
    uses = f"; {end.grant.used} of {end.grant.uses} uses were made" if end.grant.uses else ""
    click.echo(safe_line(f"{end.grant.id} is revoked{uses}"))
    for session in end.sessions:
        click.echo(f"session {safe_line(session)} is ended")


def _request(client: GrantClient, filters: Filters) -> pb.ListGrantsRequest:
    states = [pb.GrantState.Value(f"GRANT_STATE_{state.upper()}") for state in filters.states]
    return pb.ListGrantsRequest(
        states=states,
        hold=client.hold_id(filters.hold) if filters.hold else "",
        caller=filters.caller,
        group=filters.group,
        rule=filters.rule,
        model=filters.model,
    )


def _question(hold: holds_pb2.Hold, wanted: Wanted) -> str:
    of = f"group {wanted.group}" if wanted.group else hold.caller.person or hold.caller.subject
    until = moment(wanted.until, now=datetime.now(UTC))
    kind = "differing in the newest user turn alone" if wanted.same_template else "of this kind, of any text"
    return safe_line(f"Let {wanted.uses} requests of {of} {kind} through until {until}, unseen?")


def _confirm(question: str) -> None:
    if not click.confirm(f"\n{question}"):
        raise Failure("nothing was decided", Exit.REFUSED)


def _require_shown_terms(grant: pb.Grant) -> None:
    """Refuse terms that are not those that a vote would name."""
    if hashlib.sha256(grant.terms).hexdigest() != grant.digest:
        raise Failure(
            f"the server sent other terms for {grant.id} than its digest names; decide nothing and tell its "
            "operator",
            Exit.REFUSED,
        )


def _require_digest(wanted: str | None, found: str, what: str, noun: str) -> None:
    if wanted is not None and wanted.lower() != found:
        message = (
            f"{what} has another digest than you name: sha256 {found}; look again with: authz {noun} show"
        )
        raise Failure(message, Exit.CONFLICT)


def _print(grant: pb.Grant, now: datetime) -> None:
    for line in grant_page(grant, now=now):
        click.echo(line)


def _tell(grant: pb.Grant, now: datetime, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(grant_object(grant), indent=2))
    elif grant.state == pb.GRANT_STATE_PROPOSED:
        stages = ", ".join(f"{ref.approval} {ref.stage + 1}" for ref in grant.open_stages)
        click.echo(f"your vote for {grant.id} counts; more votes are needed in {stages}")
        click.echo(f"others vote for the same terms with: authz grant approve {grant.id}", err=True)
    else:
        until = moment(local(grant.until), now=now)
        click.echo(f"{grant.id} is {state_word(grant.state)}: {grant.uses} uses until {until}")
