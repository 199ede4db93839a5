"""What was there before masking goes on record in the transaction of what crosses, where that is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.commands import Command, OpenHold, Record
from authz_service.core.events import AnswerFound, AnswerRead, AnswerStarted, BodyRead
from authz_service.core.exchange import Exchange
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Decision, Effect


def recorded(commands: list[Command]) -> dict[str, EntryDraft]:
    """The entries of the one command that records any, by kind."""
    (drafts,) = [
        command.drafts if isinstance(command, Record) else command.draft.entries
        for command in commands
        if isinstance(command, Record | OpenHold)
    ]
    return {draft.kind.value: draft for draft in drafts}


@pytest.fixture
def exchange(request_of_alice: Any) -> Exchange:
    exchange = Exchange(request_of_alice, keeps_originals=True)
    exchange.handle(BodyRead(b"jane@example.com"))
    return exchange


@pytest.fixture
def answering(exchange: Exchange, judged: Any) -> Exchange:
    exchange.handle(judged(Effect.ALLOW))
    exchange.handle(AnswerStarted(200, {}, is_last=False))
    return exchange


def masked(event: Any) -> Any:
    return replace(event, inspection=replace(event.inspection, masked={"EMAIL_ADDRESS": 1}))


def piece(
    release: bytes, original: bytes | None, effect: Effect | None = None, *, is_last: bool = False
) -> Any:
    decision = None if effect is None else Decision(effect, "the-rule", "because", "digest", ("security",))
    return AnswerRead(AnswerStep(release, {}, {}, is_last=is_last), decision, original=original)


@pytest.mark.parametrize("effect", [Effect.ALLOW, Effect.DENY])
def test_a_request_that_was_masked_is_kept_as_it_came(
    exchange: Exchange, judged: Any, effect: Effect
) -> None:
    entries = recorded(exchange.handle(masked(judged(effect))))
    received = entries["request.received"]
    assert received.payloads["original"] == b"jane@example.com"
    assert received.data["originals"] is True
    assert received.subject == "pseudonym"


def test_a_request_that_waits_is_kept_as_it_came_with_its_hold(exchange: Exchange, judged: Any) -> None:
    entries = recorded(exchange.handle(masked(judged(Effect.HOLD))))
    assert entries["request.received"].payloads["original"] == b"jane@example.com"


def test_a_request_that_was_not_masked_is_kept_once_and_the_entry_says_that_it_would_be(
    exchange: Exchange, judged: Any
) -> None:
    received = recorded(exchange.handle(judged(Effect.ALLOW)))["request.received"]
    assert "original" not in received.payloads
    assert received.data["originals"] is True


def test_nothing_is_kept_where_nobody_asked_for_it(request_of_alice: Any, judged: Any) -> None:
    exchange = Exchange(request_of_alice)
    exchange.handle(BodyRead(b"jane@example.com"))
    received = recorded(exchange.handle(masked(judged(Effect.DENY))))["request.received"]
    assert "original" not in received.payloads
    assert "originals" not in received.data


def test_each_piece_of_an_answer_is_kept_with_its_release(answering: Exchange) -> None:
    first = recorded(answering.handle(piece(b"[EMAIL_ADDRESS]", b"joe@example.com and ")))
    assert first["answer.released"].payloads == {
        "body": b"[EMAIL_ADDRESS]",
        "original": b"joe@example.com and ",
    }
    second = recorded(answering.handle(piece(b" and more", b"more")))
    assert second["answer.released"].payloads["original"] == b"more"
    third = recorded(answering.handle(piece(b"as it is", None)))
    assert third["answer.released"].payloads == {"body": b"as it is"}
    last = recorded(answering.handle(piece(b"", b"dropped", is_last=True)))
    assert last["answer.released"].payloads == {"body": b"", "original": b"dropped"}
    assert Kind.EXCHANGE_ENDED in last


def test_what_a_denied_answer_was_is_kept_with_its_refusal(answering: Exchange) -> None:
    entries = recorded(answering.handle(piece(b"", b"AKIA...", Effect.DENY)))
    assert entries["answer.refused"].payloads == {"original": b"AKIA..."}
    assert entries["answer.refused"].subject == "pseudonym"


@pytest.fixture
def kept_back(exchange: Exchange, judged: Any) -> Exchange:
    """One whose answer may have to wait."""
    exchange.handle(replace(judged(Effect.ALLOW), holds_answers=True))
    exchange.handle(AnswerFound(None))
    exchange.handle(AnswerStarted(200, {}, is_last=False))
    return exchange


def held(judged: Any, release: bytes, original: bytes | None) -> Any:
    approvals = judged(Effect.HOLD).approvals
    return replace(piece(release, original, Effect.HOLD), approvals=approvals, new_hold="hold_1")


def test_an_answer_that_is_held_is_kept_whole_with_its_hold(kept_back: Exchange, judged: Any) -> None:
    kept_back.handle(held(judged, b"[EMAIL_ADDRESS]", b"joe@example.com"))
    entries = recorded(kept_back.handle(piece(b" and the rest", None, is_last=True)))
    assert entries["answer.decided"].payloads == {"original": b"joe@example.com and the rest"}


def test_an_answer_that_is_held_unmasked_is_kept_once(kept_back: Exchange, judged: Any) -> None:
    kept_back.handle(held(judged, b"one ", None))
    opened = kept_back.handle(piece(b"two", None, is_last=True))
    assert recorded(opened)["answer.decided"].payloads == {}


def test_of_a_held_answer_that_is_denied_in_the_end_all_is_kept(kept_back: Exchange, judged: Any) -> None:
    kept_back.handle(held(judged, b"[EMAIL_ADDRESS]", b"joe@example.com"))
    entries = recorded(kept_back.handle(piece(b"", b" AKIA...", Effect.DENY)))
    assert entries["answer.refused"].payloads == {"original": b"joe@example.com AKIA..."}


def test_an_answer_that_was_kept_back_and_need_not_wait_is_kept_with_its_release(kept_back: Exchange) -> None:
    kept_back.handle(piece(b"[EMAIL_ADDRESS]", b"joe@example.com"))
    entries = recorded(kept_back.handle(piece(b" and the rest", None, is_last=True)))
    assert entries["answer.released"].payloads == {
        "body": b"[EMAIL_ADDRESS] and the rest",
        "original": b"joe@example.com and the rest",
    }
