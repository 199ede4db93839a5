"""When the rules for answers are asked: before anything goes on, and whenever something new was found."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from authz_service.core.events import AnswerFailed, AnswerRead
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import AnswerFacts, Decision, Effect
from authz_service.runtime.answers import Answer
from authz_service.runtime.threads import Threads
from authz_service.view.caller import Caller


class Asked:
    """A policy that notes what had been found each time it was asked."""

    reads_answers = True
    holds_answers = False

    def __init__(self) -> None:
        self.found: list[dict[str, int]] = []

    def decide_answer(self, facts: AnswerFacts) -> Decision:
        self.found.append(dict(facts.answer_findings))
        return Decision(Effect.ALLOW, "default", "", "digest")


class Pipe:
    """Gives back the steps that it was made of, the last one as the end."""

    def __init__(self, *steps: AnswerStep) -> None:
        self._steps = list(steps)

    def feed(self, data: bytes) -> AnswerStep:
        return self._steps.pop(0)

    def finish(self) -> AnswerStep:
        return self._steps.pop(0)


def step(release: bytes = b"", *, is_last: bool = False, **found: int) -> AnswerStep:
    return AnswerStep(release=release, found=found, masked=found, is_last=is_last)


def read(
    *pieces: AnswerStep, end: AnswerStep, holds: bool = False, limit: int = 100, kept: list[int] | None = None
) -> tuple[Asked, list[Any]]:
    """What the rules were asked, and what came of each piece; the last one comes with the end."""
    asked = Asked()
    asked.holds_answers = holds
    config = SimpleNamespace(limits=SimpleNamespace(body=limit))
    rules = SimpleNamespace(policy=asked, approvals_of=lambda names: (), config=config)
    view = SimpleNamespace(token_estimate=1)
    answer = Answer(
        cast(Any, rules),
        cast(Any, SimpleNamespace(caller=Caller("https://id", "alice", 4e9))),
        cast(Any, SimpleNamespace(view=view, findings={})),
        cast(Any, Pipe(*pieces, end)),
        clock=lambda: 0.0,
        new_id=lambda prefix: prefix,
        threads=Threads(),
        reserve=(kept if kept is not None else []).append,
    )

    async def scenario() -> list[Any]:
        last = len(pieces) - 1
        return [await answer.read(b"x", is_last=at == last) for at in range(len(pieces))]

    return asked, asyncio.run(scenario())


def test_a_whole_answer_is_judged_once_when_it_has_been_read() -> None:
    asked, (first, second) = read(step(), step(), end=step(b"all", is_last=True))
    assert asked.found == [{}]
    assert (first.decision, second.decision is None) == (None, False)


def test_a_piece_of_an_answer_goes_on_only_with_a_decision_of_what_was_found_so_far() -> None:
    pieces = (step(), step(b"a"), step(b"b"), step(b"c", CREDIT_CARD=1), step(b"d"))
    asked, events = read(*pieces, end=step(b"e", is_last=True, CREDIT_CARD=1))
    assert asked.found == [{}, {"CREDIT_CARD": 1}, {"CREDIT_CARD": 2}]
    assert [event.decision is not None for event in events] == [False, True, False, True, True]


def test_an_answer_that_may_be_held_is_judged_as_a_whole_at_its_end() -> None:
    pieces = (step(b"a"), step(b"b", CREDIT_CARD=1), step(b"c"))
    asked, events = read(*pieces, end=step(b"d", is_last=True), holds=True)
    assert asked.found == [{}, {"CREDIT_CARD": 1}, {"CREDIT_CARD": 1}]
    assert events[-1].found == {"CREDIT_CARD": 1}


def test_what_is_kept_back_is_accounted_for_and_has_a_limit() -> None:
    kept: list[int] = []
    pieces = (step(b"a"), step(b"b"), step(b"c"))
    _, events = read(*pieces, end=step(is_last=True), holds=True, limit=2, kept=kept)
    assert kept == [1, 1, 1]
    assert isinstance(events[1], AnswerRead)
    assert isinstance(events[2], AnswerFailed)
    assert events[2].error.code == "answer_too_large"


def test_an_answer_that_no_rule_holds_is_not_kept() -> None:
    kept: list[int] = []
    read(step(b"a"), step(b"b"), end=step(is_last=True), limit=1, kept=kept)
    assert kept == []


def test_an_empty_answer_is_judged_too() -> None:
    asked, _ = read(step(), end=step(is_last=True))
    assert asked.found == [{}]


def test_what_is_found_in_the_last_piece_and_behind_it_is_counted_together() -> None:
    _, (event,) = read(step(b"a", IBAN_CODE=1), end=step(b"b", is_last=True, IBAN_CODE=2, US_SSN=1))
    assert event.step.release == b"ab"
    assert event.step.found == {"IBAN_CODE": 3, "US_SSN": 1}
