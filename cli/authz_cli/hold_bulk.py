"""One decision on many holds: all of them are shown, one question counts them, and what was shown is sent."""

from __future__ import annotations

import json

import click

from authz_api.v1 import holds_pb2
from authz_cli.exits import Exit, Failure
from authz_cli.hold_actions import (
    is_chosen,
    list_request,
    outcome,
    print_page,
    require_shown_bytes,
    require_terminal,
    why_not_shown,
)
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_json import hold_object, state_word
from authz_cli.hold_options import Decision, Filters
from authz_cli.hold_text import holds_table, local
from authz_cli.options import Target
from authz_cli.safe_text import safe_line

MOST = 200
"""Holds that one question may be about; the server takes no more at once."""

Page = holds_pb2.GetHoldResponse


def decide_many(
    target: Target, names: tuple[str, ...], filters: Filters, decision: Decision, *, as_json: bool
) -> None:
    """Show all, ask once, and vote on exactly those."""
    with connect(target) as client:
        pages = _listed(client, names, filters)
        if not pages:
            raise Failure("no hold asks for your vote; see: authz hold list", Exit.NOT_FOUND)
        left_out: list[holds_pb2.Outcome] = []
        if decision.verdict == "approve":
            pages, left_out = _read(client, pages)
        for page in pages:
            _require_pending(page.hold)
        if not as_json:
            _show(pages, decision)
        if not decision.is_sure:
            _ask(pages, decision, as_json=as_json)
        answer = client.decide(_request(pages, decision))
    answer.outcomes.extend(left_out)
    _tell(answer, as_json=as_json)
    if any(told.code for told in answer.outcomes):
        raise SystemExit(int(Exit.CONFLICT))


def _listed(client: HoldClient, names: tuple[str, ...], filters: Filters) -> list[Page]:
    """Without their bodies, which only those read who approve them."""
    if names:
        found = list({page.hold.id: page for page in map(client.listed, names)}.values())
    else:
        listed = client.holds(list_request(filters))
        found = [Page(hold=hold, as_of=at.as_of) for hold, at in listed if is_chosen(hold, filters)]
    if len(found) > MOST:
        raise Failure(f"that are {len(found)} holds; narrow them to {MOST} with filters", Exit.USAGE)
    return found


def _read(client: HoldClient, listed: list[Page]) -> tuple[list[Page], list[holds_pb2.Outcome]]:
    """The holds whole, and what is not decided since it cannot be shown, which is said at once."""
    pages: list[Page] = []
    left_out: list[holds_pb2.Outcome] = []
    for page in listed:
        try:
            pages.append(client.hold(page.hold.id))
        except Failure as failure:
            code = why_not_shown(failure)
            if not code or len(left_out) + 1 == len(listed):
                raise
            left_out.append(holds_pb2.Outcome(id=page.hold.id, code=code, message=str(failure)))
            click.echo(safe_line(f"{page.hold.id} is left out: {failure}"), err=True)
    for page in pages:
        require_shown_bytes(page.hold)
    return pages, left_out


def _require_pending(hold: holds_pb2.Hold) -> None:
    if hold.state != holds_pb2.HOLD_STATE_PENDING:
        raise Failure(f"hold {hold.id} is {state_word(hold.state)}; leave it out", Exit.CONFLICT)


def _show(pages: list[Page], decision: Decision) -> None:
    """Each whole where it would be sent; a list of what is rejected."""
    if decision.verdict == "approve":
        for page in pages:
            print_page(page)
            click.echo()
    click.echo(holds_table([page.hold for page in pages], now=local(pages[0].as_of), is_wide=True))


def _ask(pages: list[Page], decision: Decision, *, as_json: bool) -> None:
    require_terminal(as_json=as_json)
    doing = "Approve these" if decision.verdict == "approve" else "Reject these"
    if not click.confirm(f"\n{doing} {len(pages)} holds{_concealed(pages)}?"):
        raise Failure("nothing was decided", Exit.REFUSED)


def _concealed(pages: list[Page]) -> str:
    count = sum(bool(page.hold.concealed) for page in pages)
    return f", {count} of them with what is concealed from you" if count else ""


def _request(pages: list[Page], decision: Decision) -> holds_pb2.DecideHoldsRequest:
    approves = decision.verdict == "approve"
    return holds_pb2.DecideHoldsRequest(
        holds=[holds_pb2.Shown(id=page.hold.id, digest=page.hold.digest) for page in pages],
        verdict=holds_pb2.VERDICT_APPROVE if approves else holds_pb2.VERDICT_REJECT,
        reason=decision.reason,
    )


def _tell(answer: holds_pb2.DecideHoldsResponse, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([_object(told) for told in answer.outcomes], indent=2))
        return
    for told in answer.outcomes:
        if told.code:
            click.echo(safe_line(f"{told.id} was not decided: {told.message}"))
        else:
            click.echo(outcome(told.hold, now=local(answer.as_of)))


def _object(told: holds_pb2.Outcome) -> dict[str, object]:
    if told.code:
        return {"id": told.id, "hold": None, "code": told.code, "message": told.message}
    return {"id": told.id, "hold": hold_object(told.hold), "code": None, "message": None}
