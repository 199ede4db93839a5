"""The answer of an exchange: recorded before it is released, cut off, kept, refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.core.exchange_play import ANSWER, AWAY, HoldIn, Judged, held, kinds, names, play, reply_of

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Command,
    CutAnswer,
    ForwardAnswer,
    Record,
)
from authz_service.core.events import (
    AnswerFailed,
    AnswerRead,
    AnswerStarted,
    BodyRead,
    Event,
    RequestJudged,
    StoreFailed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.request import Request
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Unreadable
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Decision, Effect


def step(release: bytes = b"", *, is_last: bool = False) -> AnswerStep:
    return AnswerStep(release, {}, {}, is_last=is_last)


def test_each_piece_of_the_answer_is_recorded_before_it_is_released(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), ANSWER)
    assert names(commands) == ["ReadAnswer"]
    assert exchange.handle(AnswerRead(step())) == []
    first = exchange.handle(AnswerRead(step(b"one")))
    assert names(first) == ["Record", "ForwardAnswer"]
    assert kinds(first[0]) == [Kind.ANSWER_STARTED, Kind.ANSWER_RELEASED]
    last = exchange.handle(AnswerRead(step(b"two", is_last=True)))
    assert kinds(last[0]) == [Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]
    assert last[1] == ForwardAnswer(b"two", is_last=True)
    assert exchange.is_closed


def test_what_the_model_server_keeps_is_recorded_once_with_the_first_piece_that_goes_on(
    request_of_alice: Request, judged: Judged
) -> None:
    exchange, _ = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), ANSWER)
    assert exchange.handle(AnswerRead(step(), kept=("one",))) == []
    (record, _) = exchange.handle(AnswerRead(step(b"id"), kept=("two", "one")))
    assert kinds(record) == [Kind.ANSWER_STARTED, Kind.ANSWER_KEPT, Kind.ANSWER_RELEASED]
    assert isinstance(record, Record)
    assert record.drafts[1].data == {"caller": request_of_alice.pseudonym, "names": ["one", "two"]}
    assert not record.drafts[1].payloads
    last = exchange.handle(AnswerRead(step(b"two", is_last=True)))
    assert kinds(last[0]) == [Kind.ANSWER_RELEASED, Kind.EXCHANGE_ENDED]


def test_of_an_answer_that_is_denied_nothing_is_anybodys(request_of_alice: Request, judged: Judged) -> None:
    denied = replace(denied_answer(), kept=("one",))
    _, commands = play(request_of_alice, BodyRead(b"body"), judged(Effect.ALLOW), ANSWER, denied)
    assert Kind.ANSWER_KEPT not in kinds(commands[0])


def denied_answer() -> AnswerRead:
    return AnswerRead(step(b"secret"), Decision(Effect.DENY, "no-keys", "No keys.", "digest"))


def test_an_answer_denied_at_its_start_is_a_plain_error(request_of_alice: Request, judged: Judged) -> None:
    events: list[Event] = [BodyRead(b"body"), judged(Effect.ALLOW), ANSWER, denied_answer()]
    _, commands = play(request_of_alice, *events)
    assert names(commands) == ["Record", "Reply"]
    assert reply_of(commands).error.code == "answer_denied"


def test_an_answer_denied_later_is_cut_off_before_the_offending_text(
    request_of_alice: Request, judged: Judged
) -> None:
    events: list[Event] = [
        BodyRead(b"body"),
        judged(Effect.ALLOW),
        ANSWER,
        AnswerRead(step(b"one")),
        denied_answer(),
    ]
    _, commands = play(request_of_alice, *events)
    record, cut = commands
    assert kinds(record) == [Kind.ANSWER_DECIDED, Kind.ANSWER_REFUSED, Kind.EXCHANGE_ENDED]
    assert isinstance(cut, CutAnswer)
    assert not any(b"secret" in p for d in getattr(record, "drafts", ()) for p in d.payloads.values())


def test_an_answer_that_cannot_be_read_is_never_passed_on(request_of_alice: Request, judged: Judged) -> None:
    failed = AnswerFailed(Unreadable("not JSON", code="unreadable_answer"))
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW), ANSWER, failed)
    assert names(commands) == ["Record", "Reply"]
    assert reply_of(commands).error.status == 502


def test_a_failure_that_cannot_be_read_keeps_its_status_and_is_retried_as_ever(
    request_of_alice: Request, judged: Judged
) -> None:
    busy = AnswerStarted(429, {}, is_last=False)
    failed = AnswerFailed(Unreadable("not JSON", code="unreadable_answer"))
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW), busy, failed)
    assert reply_of(commands).error.status == 429
    assert "x-should-retry" not in reply_of(commands).headers


def test_an_answer_before_the_request_went_out_is_envoys_and_becomes_an_error(
    request_of_alice: Request, judged: Judged, hold_in: HoldIn
) -> None:
    timeout = AnswerStarted(504, {}, is_last=False)
    _, commands = play(request_of_alice, *held(judged, hold_in(HoldState.PENDING)), timeout)
    assert names(commands) == ["LeaveHold", "Record", "Reply"]
    assert reply_of(commands).error.status == 504


def test_a_store_that_is_away_while_the_model_answers_stops_the_answer_and_takes_nothing_back(
    request_of_alice: Request, judged: Judged
) -> None:
    piece = AnswerRead(AnswerStep(b"data: x\n\n", {}, {}))
    failed = StoreFailed(AWAY, answer_begun=True)
    _, commands = play(request_of_alice, BodyRead(b""), judged(Effect.ALLOW), ANSWER, piece, failed)
    assert names(commands) == ["LeaveHold", "RecordLater", "Abort"]
    assert kinds(commands[1]) == [Kind.ANSWER_REFUSED, Kind.EXCHANGE_ENDED]


def test_a_store_that_goes_away_in_mid_answer_aborts_it(request_of_alice: Request, judged: Judged) -> None:
    events: list[Event] = [
        BodyRead(b""),
        judged(Effect.ALLOW),
        ANSWER,
        AnswerRead(step(b"one")),
        AnswerRead(step(b"two")),
    ]
    _, commands = play(request_of_alice, *events, StoreFailed(AWAY, answer_begun=True))
    assert names(commands) == ["LeaveHold", "RecordLater", "Abort"]


def test_an_entry_of_a_release_counts_the_values_that_were_restored_up_to_it(
    request_of_alice: Request, judged: Callable[..., RequestJudged]
) -> None:
    exchange = Exchange(request_of_alice)
    for event in (BodyRead(b"body"), judged(Effect.ALLOW), AnswerStarted(200, {}, is_last=False)):
        exchange.handle(event)

    def told(given: bytes, restored: dict[str, int] | None) -> list[Command]:
        return exchange.handle(AnswerRead(AnswerStep(given, {}, {}, restored=restored, said=given)))

    assert told(b"", {"JWT": 1}) == []
    for body, restored, expected in (
        (b"a", {"JWT": 1, "IBAN_CODE": 1}, {"masked": {}, "restored": {"JWT": 2, "IBAN_CODE": 1}}),
        (b"b", None, {"masked": {}}),
    ):
        (record, forward) = told(body, restored)
        assert isinstance(record, Record)
        assert record.drafts[-1].data == expected
        assert forward == ForwardAnswer(body, is_last=False)
