"""What is wrong with a vote, a decision or a release, by what entries told of its hold before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.walk import Seen
from authz_service.core.holds import StageRef, Verdict
from authz_service.core.stored_holds import HoldState
from authz_service.store.verify_eyes import Person
from authz_service.store.verify_payloads import Say
from authz_service.store.verify_standing import KnownHold

VERDICTS = {Kind.HOLD_APPROVED.value: Verdict.APPROVE, Kind.HOLD_REJECTED.value: Verdict.REJECT}


def wrong_with_vote(
    hold: KnownHold, person: Person, verdict: Verdict, stages: Sequence[StageRef]
) -> Iterator[str]:
    """Four eyes see what waits, and nobody votes on what is decided."""
    if hold.state is not HoldState.PENDING:
        yield "is a vote on what was decided before"
    if hold.eyes.asked(person):
        yield "is a vote of whoever sent the request"
    if verdict is Verdict.APPROVE and not hold.eyes.may_approve(person, stages, hold.approvals):
        yield "approves what the same person edited or answered"


def wrong_with_end(hold: KnownHold, document: Mapping[str, Any]) -> Iterator[str]:
    """What is decided follows from votes, and nothing ends twice.

    Raises `ValueError` for a decision on other bytes than its hold has.
    """
    verdict = VERDICTS.get(document["kind"])
    if verdict is None:
        if not hold.is_open:
            yield "ends a hold that has ended before"
        return
    if document["data"]["digest"] not in hold.named:
        raise ValueError("a decision is on the bytes that its hold has")
    if hold.state is not HoldState.PENDING:
        yield "decides on a hold that was decided before"
    elif not hold.is_decided(verdict, microseconds(document["at"])):
        said = "approves a hold that has not" if verdict is Verdict.APPROVE else "rejects a hold without"
        yield f"{said} the votes for it"


def wrong_with_release(hold: KnownHold, document: Mapping[str, Any], released: bytes | None) -> Iterator[str]:
    """What was approved is what runs, at most once. `released` is the SHA-256 of what went to the model."""
    if not hold.may_go(microseconds(document["at"])):
        yield "releases what is not approved, or was released before"
    if document["kind"] == Kind.REQUEST_RELEASED:
        if document["payloads"]["body"]["size"] != hold.forward_size:
            yield "has other bytes than its hold"
        yield from wrong_with_bytes(hold, released)


def wrong_with_bytes(hold: KnownHold, found: bytes | None) -> Iterator[str]:
    """`found` is their SHA-256, by which reviewers approve them; None where they are not there."""
    if found is not None and hold.digest is not None and found.hex() != hold.digest:
        yield "has other bytes than reviewers were shown"


def say_wrong(say: Say, entry: Seen, wrong: Iterable[str]) -> None:
    """Say each of these of an entry."""
    for what in wrong:
        say(f"entry {entry.sequence}", what)
