"""What the entries of votes, and of acts beside them, make of a hold and of their rows: for verification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.walk import Seen
from authz_service.core.acts import ActKind, Review
from authz_service.core.holds import Approved, StageRef, Verdict, Vote
from authz_service.core.stored_holds import HoldState
from authz_service.store.column_texts import read_stage, seconds
from authz_service.store.hold_standing import OPEN
from authz_service.store.verify_decisions import say_wrong, wrong_with_bytes, wrong_with_vote
from authz_service.store.verify_eyes import Person
from authz_service.store.verify_payloads import HASH, Say, Wanted
from authz_service.store.verify_standing import KnownHold
from authz_service.store.vote_rows import act_detail, vote_detail

ACTS = {
    Kind.HOLD_CLAIMED.value: ActKind.CLAIM,
    Kind.HOLD_UNCLAIMED.value: ActKind.UNCLAIM,
    Kind.HOLD_COMMENTED.value: ActKind.COMMENT,
    Kind.HOLD_WITHDRAWN.value: ActKind.WITHDRAW,
    Kind.HOLD_REVIEWED.value: ActKind.REVIEW,
    Kind.HOLD_EDITED.value: ActKind.EDIT,
    Kind.HOLD_RESPONDED.value: ActKind.RESPOND,
}
"""What reviewers do beside voting, by the kind of its entry."""


def follow_vote(say: Say, entry: Seen, hold: KnownHold, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
    """A vote is cast; its row, as far as the entry tells."""
    document, data = entry.document, entry.document["data"]
    at = microseconds(document["at"])
    approves = data["verdict"] == Verdict.APPROVE.value
    stages = tuple(read_stage(text) for text in data["stages"])
    is_break_glass = document["kind"] == Kind.HOLD_BREAK_GLASS
    row = {
        "id": data["vote"],
        "hold": data["hold"],
        "approves": approves,
        "at": at,
    }
    if data["digest"] not in hold.named:
        raise ValueError("a vote is on the bytes that its hold has")
    if hold.digest is not None:
        row["digest"] = hold.digest
    if "key" in data:
        row["idempotency_key"] = data["key"]
    voter = payloads.get((entry.sequence, "voter"))
    if voter is not None:
        told = json.loads(voter)
        row |= {"voter": json.dumps(told["voter"]), "account": json.dumps(told["account"])}
        reason = said_in(entry, "reason", payloads)
        owners = data.get("owners", ())
        if reason is not None:
            detail = vote_detail(told["name"], reason, stages, owners, is_break_glass=is_break_glass)
            row["detail"] = json.dumps(detail)
    _count_vote(say, entry, hold, Person.of(data, voter), stages)
    return row


def said_in(entry: Seen, name: str, payloads: Mapping[Wanted, bytes]) -> str | None:
    """What a payload of the entry says, "" where it has none of this name; None once nobody can tell."""
    if name not in entry.document["payloads"]:
        return ""
    body = payloads.get((entry.sequence, name))
    return None if body is None else body.decode()


def _count_vote(say: Say, entry: Seen, hold: KnownHold, person: Person, stages: tuple[StageRef, ...]) -> None:
    """The vote moves the hold's row, or the decision that comes of it and follows does."""
    data, at = entry.document["data"], microseconds(entry.document["at"])
    verdict = Verdict.APPROVE if data["verdict"] == Verdict.APPROVE.value else Verdict.REJECT
    is_break_glass = entry.document["kind"] == Kind.HOLD_BREAK_GLASS
    say_wrong(say, entry, wrong_with_vote(hold, person, verdict, stages))
    voter = ("", person.pseudonym)
    vote = Vote(data["vote"], voter, verdict, data["digest"], seconds(at), stages)
    vote = hold.eyes.counted(vote, person, hold.votes, hold.stands(at))
    hold.votes.append(replace(vote, is_break_glass=is_break_glass))
    hold.version += 1
    hold.changed = entry.sequence
    if is_break_glass:
        hold.review = Review.DUE.value
    hold.wait(at)


def follow_act(say: Say, entry: Seen, hold: KnownHold, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
    """A reviewer does something beside voting; its row, as far as the entry tells."""
    document, data = entry.document, entry.document["data"]
    at, kind = microseconds(document["at"]), ACTS[document["kind"]]
    if data["digest"] not in hold.named:
        raise ValueError("an act is on the bytes that its hold has")
    row = {"id": data["act"], "hold": data["hold"], "kind": kind.value, "at": at}
    row["idempotency_key"] = data["key"]
    voter = payloads.get((entry.sequence, "voter"))
    if voter is not None:
        told = json.loads(voter)
        row |= {"voter": json.dumps(told["voter"]), "account": json.dumps(told["account"])}
        name = "comment" if kind is ActKind.COMMENT else "reason"
        text = said_in(entry, name, payloads)
        until = seconds(microseconds(data["until"])) if "until" in data else None
        revised = said_in(entry, "detail", payloads)
        taken, owners = data.get("votes", ()), data.get("owners", ())
        if text is not None and revised is not None:
            edit = json.loads(revised) if kind in (ActKind.EDIT, ActKind.RESPOND) else None
            detail = act_detail(told["name"], text, taken, until, edit, owners)
            row["detail"] = json.dumps(detail)
    hold.version += 1
    hold.changed = entry.sequence
    if kind is ActKind.REVIEW:
        hold.review = Review.DONE.value
    if kind is ActKind.WITHDRAW:
        _withdrawn(hold, data, at)
    elif kind in (ActKind.EDIT, ActKind.RESPOND):
        _revised(entry, hold, payloads)
        _edited(say, entry, hold, Person.of(data, voter), payloads)
    return row


def _withdrawn(hold: KnownHold, data: Mapping[str, Any], at: int) -> None:
    taken = set(data["votes"])
    if not taken <= {vote.id for vote in hold.votes}:
        raise ValueError("a vote that was taken back was cast before")
    hold.votes = [
        replace(vote, withdrawn_at=seconds(at)) if vote.id in taken else vote for vote in hold.votes
    ]
    if data["state"] == HoldState.PENDING.value and hold.state in OPEN:
        hold.state, hold.deadline = HoldState.PENDING, microseconds(data["deadline"])
        if isinstance(hold.stands(at), Approved):
            raise ValueError("what still has its votes does not pend")
        hold.wait(at)


def _revised(entry: Seen, hold: KnownHold, payloads: Mapping[Wanted, bytes]) -> None:
    """Other bytes wait; what was voted before counts no longer, and the time begins anew."""
    forward, detail = entry.document["payloads"]["forward"], payloads.get((entry.sequence, "detail"))
    if hold.state is not HoldState.PENDING:
        raise ValueError("what is decided is not edited")
    hold.forward, hold.forward_size = forward["digest"], forward["size"]
    hold.named = frozenset({hold.forward})
    hold.digest = None if detail is None else json.loads(detail)["digest"]
    hold.begun_at = microseconds(entry.document["at"])
    hold.votes = [replace(vote, is_void=True) for vote in hold.votes]
    hold.deadline = microseconds(entry.document["data"]["deadline"])
    hold.wait(hold.begun_at)


def _edited(say: Say, entry: Seen, hold: KnownHold, person: Person, payloads: Mapping[Wanted, bytes]) -> None:
    hold.eyes.editors.append(person)
    if hold.eyes.asked(person):
        say(f"entry {entry.sequence}", "is an edit by whoever sent the request")
    say_wrong(say, entry, wrong_with_bytes(hold, payloads.get((entry.sequence, "forward" + HASH))))
