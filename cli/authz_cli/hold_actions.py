"""What the commands of `authz hold` do, once they are called."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import click
import grpc

from authz_api.v1 import holds_pb2
from authz_cli import terminal
from authz_cli.edit_form import json_text
from authz_cli.exits import Exit, Failure
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_context import context_object
from authz_cli.hold_json import edit_object, hold_object, hold_with_body, state_word
from authz_cli.hold_options import Decision, Filters
from authz_cli.hold_text import hold_page, holds_table, local
from authz_cli.listed import first_of
from authz_cli.moments import moment
from authz_cli.options import Target
from authz_cli.refusals import code_of
from authz_cli.safe_text import safe_line


def list_request(filters: Filters) -> holds_pb2.ListHoldsRequest:
    """The first page of what the server filters."""
    states = [holds_pb2.HoldState.Value(f"HOLD_STATE_{state.upper()}") for state in filters.states]
    return holds_pb2.ListHoldsRequest(
        states=states,
        caller=filters.caller,
        model=filters.model,
        rule=filters.rule,
        review=holds_pb2.REVIEW_STATE_DUE if filters.to_review else holds_pb2.REVIEW_STATE_UNSPECIFIED,
    )


def is_chosen(hold: holds_pb2.Hold, filters: Filters) -> bool:
    """Whether a hold is one of those that the filters choose; the server has not looked at all of them."""
    caller = (hold.caller.subject, hold.caller.person)
    return (
        (not filters.states or state_word(hold.state) in filters.states)
        and filters.caller in ("", *caller)
        and filters.model in ("", hold.model)
        and filters.rule in ("", hold.rule)
        and (not filters.is_mine or is_asked_for(hold))
        and (not filters.is_due_soon or hold.is_due_soon)
        and (not filters.to_review or hold.review == holds_pb2.REVIEW_STATE_DUE)
    )


def is_asked_for(hold: holds_pb2.Hold) -> bool:
    """Whether a stage that is open now asks for the vote of whoever asks."""
    mine = {(ref.approval, ref.stage, ref.is_escalated) for ref in hold.may_vote_in}
    return any(
        stage.is_open and (stage.ref.approval, stage.ref.stage, stage.is_escalated) in mine
        for stage in hold.stages
    )


def show_list(target: Target, filters: Filters, *, limit: int, as_json: bool, is_wide: bool = False) -> None:
    """Print a list of holds."""
    with connect(target) as client:
        found = client.holds(list_request(filters))
        chosen = first_of((item for item in found if is_chosen(item[0], filters)), limit)
    if as_json:
        click.echo(json.dumps([hold_object(hold) for hold, _ in chosen], indent=2))
    elif not chosen:
        click.echo("no holds")
    else:
        now = local(chosen[0][1].as_of)
        click.echo(holds_table([hold for hold, _ in chosen], now=now, is_wide=is_wide))


def show_one(target: Target, name: str, *, as_json: bool) -> None:
    """Print one hold."""
    with connect(target) as client:
        answer = client.hold(name)
    require_shown_bytes(answer.hold)
    if as_json:
        texts = {text.name: text.text for text in answer.texts}
        edits = [edit_object(edit) for edit in answer.edits]
        context = {"context": context_object(answer.context), "texts": texts, "edits": edits}
        click.echo(json_text(hold_with_body(answer.hold) | context, indent="  ", is_ascii=True))
    else:
        print_page(answer)


def decide(
    target: Target, name: str, decision: Decision, *, as_json: bool, break_glass: bool = False
) -> None:
    """Show what is decided, ask, and vote on exactly that."""
    with connect(target) as client:
        answer = _to_decide(client, name, decision)
        hold = answer.hold
        _require_decidable(hold, decision)
        if not as_json and (decision.verdict == "approve" or not decision.is_sure):
            _show(answer)
        if not decision.is_sure:
            _ask(hold, decision, as_json=as_json, break_glass=break_glass)
        voted = _vote(client, hold, decision, break_glass=break_glass)
    if as_json:
        click.echo(json.dumps(hold_object(voted.hold), indent=2))
    else:
        click.echo(outcome(voted.hold, now=local(voted.as_of)))


def _to_decide(client: HoldClient, name: str, decision: Decision) -> holds_pb2.GetHoldResponse:
    """The hold, whole where that is shown; a rejection needs no more than lists have."""
    if decision.verdict == "reject" and decision.is_sure:
        return client.listed(name)
    try:
        answer = client.hold(name)
    except Failure as failure:
        if decision.verdict != "reject" or not why_not_shown(failure):
            raise
        click.echo(safe_line(str(failure)), err=True)
        return client.listed(name)
    require_shown_bytes(answer.hold)
    return answer


def why_not_shown(failure: Failure) -> str:
    """The code where a hold was not given: it is larger than an answer may be, or cannot be concealed."""
    cause = failure.__cause__
    code = code_of(cause) if isinstance(cause, grpc.RpcError) else ""
    return code if code in ("hold_too_large", "not_concealable") else ""


def _show(answer: holds_pb2.GetHoldResponse) -> None:
    if answer.hold.forward:
        print_page(answer)
    else:
        click.echo(holds_table([answer.hold], now=local(answer.as_of), is_wide=True))


def require_shown_bytes(hold: holds_pb2.Hold) -> None:
    """Refuse what is not the bytes that it says it is."""
    # An approval names a digest: it must be that of the bytes on the screen, whatever the server says; but
    # for whom something is concealed, as the page tells them: theirs is of bytes that they do not see whole.
    if not hold.concealed and hashlib.sha256(hold.forward).hexdigest() != hold.digest:
        raise Failure(
            f"the server sent other bytes for {hold.id} than its digest names; decide nothing and tell its "
            "operator",
            Exit.REFUSED,
        )


def _require_decidable(hold: holds_pb2.Hold, decision: Decision) -> None:
    if decision.digest is not None and decision.digest.lower() != hold.digest:
        raise Failure(
            f"hold {hold.id} has other bytes than you name: sha256 {hold.digest}{_changed_by(hold)}; look "
            f"again with: authz hold show {hold.id}",
            Exit.CONFLICT,
        )
    if hold.state != holds_pb2.HOLD_STATE_PENDING:
        raise Failure(f"hold {hold.id} is {state_word(hold.state)}: {_decided_by(hold)}", Exit.CONFLICT)


def _changed_by(hold: holds_pb2.Hold) -> str:
    words = {holds_pb2.ACT_KIND_EDIT: "edited it", holds_pb2.ACT_KIND_RESPOND: "answered in its place"}
    last = next((act for act in reversed(hold.acts) if act.kind in words), None)
    return "" if last is None else f"; {last.name or last.person_subject} {words[last.kind]}"


def _decided_by(hold: holds_pb2.Hold) -> str:
    counted = [vote for vote in hold.votes if not (vote.HasField("withdrawn_at") or vote.is_void)]
    voters = ", ".join(vote.name or vote.voter_subject for vote in counted)
    return f"votes by {voters}" if voters else "there is nothing to decide"


def _ask(hold: holds_pb2.Hold, decision: Decision, *, as_json: bool, break_glass: bool) -> None:
    require_terminal(as_json=as_json)
    bytes_shown = f"{'these' if hold.forward else 'the'} bytes (sha256 {hold.digest[:12]}...)"
    if hold.concealed:
        bytes_shown = f"{bytes_shown}, with what is concealed from you,"
    is_answer = hold.HasField("answer")
    question = f"Send {bytes_shown} to {'the caller' if is_answer else safe_line(hold.model)}?"
    if decision.verdict == "reject":
        question = f"Reject {bytes_shown}, and tell the caller why?"
    if break_glass:
        question = f"{question} You decide this alone, and somebody else has to review it."
    if not click.confirm(f"\n{question}"):
        raise Failure("nothing was decided", Exit.REFUSED)


def require_terminal(*, as_json: bool) -> None:
    """Nothing is asked where nobody could answer."""
    if as_json or not terminal.is_interactive():
        raise Failure("there is no terminal to ask on; say --yes to approve without a question", Exit.USAGE)


def _vote(
    client: HoldClient, hold: holds_pb2.Hold, decision: Decision, *, break_glass: bool
) -> holds_pb2.ApproveHoldResponse | holds_pb2.RejectHoldResponse:
    if decision.verdict == "approve":
        return client.approve(hold.id, digest=hold.digest, reason=decision.reason, break_glass=break_glass)
    return client.reject(hold.id, digest=hold.digest, reason=decision.reason, break_glass=break_glass)


def outcome(hold: holds_pb2.Hold, *, now: datetime) -> str:
    """What became of it, in one line."""
    if hold.state == holds_pb2.HOLD_STATE_PENDING:
        stages = ", ".join(f"{s.ref.approval} {s.ref.stage + 1}" for s in hold.stages if s.is_open)
        return f"your vote on {hold.id} counts; more votes are needed in {stages}"
    ends = ""
    if hold.state == holds_pb2.HOLD_STATE_APPROVED:
        ends = f"; it may be used until {moment(local(hold.deadline), now=now)}"
    return f"{hold.id} is {state_word(hold.state)} (sha256 {hold.digest[:12]}...){ends}"


def print_page(answer: holds_pb2.GetHoldResponse) -> None:
    """A whole hold, for people."""
    for line in hold_page(
        answer.hold,
        now=local(answer.as_of),
        width=terminal.width(),
        context=answer.context,
        edits=answer.edits,
    ):
        click.echo(line)
