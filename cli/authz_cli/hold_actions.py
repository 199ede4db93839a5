"""What the commands of `authz hold` do, once they are called."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

import click

from authz_api.v1 import holds_pb2
from authz_cli import terminal
from authz_cli.client import Client, connect, first_of
from authz_cli.exits import Exit, Failure
from authz_cli.hold_json import hold_object, hold_with_body, state_word
from authz_cli.hold_text import hold_page, holds_table, local
from authz_cli.moments import moment
from authz_cli.options import Target
from authz_cli.safe_text import safe_line


@dataclass(frozen=True, slots=True)
class Filters:
    """Which holds to list; empty means any."""

    states: tuple[str, ...]
    caller: str
    model: str
    rule: str

    def request(self) -> holds_pb2.ListHoldsRequest:
        """The first page of them."""
        states = [holds_pb2.HoldState.Value(f"HOLD_STATE_{state.upper()}") for state in self.states]
        return holds_pb2.ListHoldsRequest(states=states, caller=self.caller, model=self.model, rule=self.rule)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the reviewer wants. `digest` is the one they name; `is_sure` asks no question."""

    verdict: Literal["approve", "reject"]
    reason: str
    digest: str | None
    is_sure: bool


def show_list(target: Target, filters: Filters, *, limit: int, as_json: bool) -> None:
    """Print a list of holds."""
    with connect(target) as client:
        found = first_of(client.holds(filters.request()), limit)
    if as_json:
        click.echo(json.dumps([hold_object(hold) for hold, _ in found], indent=2))
    elif not found:
        click.echo("no holds")
    else:
        now = local(found[0][1].as_of)
        click.echo(holds_table([hold for hold, _ in found], now=now))


def show_one(target: Target, name: str, *, as_json: bool) -> None:
    """Print one hold."""
    with connect(target) as client:
        answer = client.hold(name)
    _require_shown_bytes(answer.hold)
    if as_json:
        click.echo(json.dumps(hold_with_body(answer.hold), indent=2))
    else:
        _print_page(answer)


def decide(target: Target, name: str, decision: Decision, *, as_json: bool) -> None:
    """Show what is decided, ask, and vote on exactly that."""
    with connect(target) as client:
        answer = client.hold(name)
        hold = answer.hold
        _require_shown_bytes(hold)
        _require_decidable(hold, decision)
        if not as_json and (decision.verdict == "approve" or not decision.is_sure):
            _print_page(answer)
        if not decision.is_sure:
            _ask(hold, decision, as_json=as_json)
        voted = _vote(client, hold, decision)
    if as_json:
        click.echo(json.dumps(hold_object(voted.hold), indent=2))
    else:
        click.echo(_outcome(voted))


def _require_shown_bytes(hold: holds_pb2.Hold) -> None:
    # An approval names a digest: it must be that of the bytes on the screen, whatever the server says.
    if hashlib.sha256(hold.forward).hexdigest() != hold.digest:
        raise Failure(
            f"the server sent other bytes for {hold.id} than its digest names; decide nothing and tell its "
            "operator",
            Exit.REFUSED,
        )


def _require_decidable(hold: holds_pb2.Hold, decision: Decision) -> None:
    if decision.digest is not None and decision.digest.lower() != hold.digest:
        raise Failure(
            f"hold {hold.id} has other bytes than you name: sha256 {hold.digest}; look again with: "
            f"authz hold show {hold.id}",
            Exit.CONFLICT,
        )
    if hold.state != holds_pb2.HOLD_STATE_PENDING:
        raise Failure(f"hold {hold.id} is {state_word(hold.state)}: {_decided_by(hold)}", Exit.CONFLICT)


def _decided_by(hold: holds_pb2.Hold) -> str:
    voters = ", ".join(vote.name or vote.voter_subject for vote in hold.votes)
    return f"votes by {voters}" if voters else "there is nothing to decide"


def _ask(hold: holds_pb2.Hold, decision: Decision, *, as_json: bool) -> None:
    if as_json or not terminal.is_interactive():
        raise Failure("there is no terminal to ask on; say --yes to approve without a question", Exit.USAGE)
    bytes_shown = f"these bytes (sha256 {hold.digest[:12]}...)"
    is_answer = hold.HasField("answer")
    question = f"Send {bytes_shown} to {'the caller' if is_answer else safe_line(hold.model)}?"
    if decision.verdict == "reject":
        question = f"Reject {bytes_shown}, and tell the caller why?"
    if not click.confirm(f"\n{question}"):
        raise Failure("nothing was decided", Exit.REFUSED)


def _vote(
    client: Client, hold: holds_pb2.Hold, decision: Decision
) -> holds_pb2.ApproveHoldResponse | holds_pb2.RejectHoldResponse:
    if decision.verdict == "approve":
        return client.approve(hold.id, digest=hold.digest, reason=decision.reason)
    return client.reject(hold.id, digest=hold.digest, reason=decision.reason)


def _outcome(answer: holds_pb2.ApproveHoldResponse | holds_pb2.RejectHoldResponse) -> str:
    hold = answer.hold
    if hold.state == holds_pb2.HOLD_STATE_PENDING:
        stages = ", ".join(f"{s.ref.approval} {s.ref.stage + 1}" for s in hold.stages if s.is_open)
        return f"your vote on {hold.id} counts; more votes are needed in {stages}"
    ends = ""
    if hold.state == holds_pb2.HOLD_STATE_APPROVED:
        ends = f"; it may be used until {moment(local(hold.deadline), now=local(answer.as_of))}"
    return f"{hold.id} is {state_word(hold.state)} (sha256 {hold.digest[:12]}...){ends}"


def _print_page(answer: holds_pb2.GetHoldResponse) -> None:
    for line in hold_page(answer.hold, now=local(answer.as_of), width=terminal.width()):
        click.echo(line)
