"""What a piece of an answer settled is told once, and judged where something is new."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import pytest

from authz_service.core.events import AnswerFailed, AnswerRead
from authz_service.errors import Unreadable
from authz_service.inspection.results import AnswerStep
from authz_service.runtime.answer_pipes import UnreadPipe
from authz_service.runtime.answers import Answer
from authz_service.view.answer import Usage


@dataclass
class Told:
    """A pipe with steps that are known beforehand."""

    steps: list[AnswerStep | Unreadable]

    def feed(self, data: bytes) -> AnswerStep:
        """The next of them."""
        step = self.steps.pop(0)
        if isinstance(step, Unreadable):
            raise step
        return step

    def finish(self) -> AnswerStep:
        """The last of them."""
        return self.feed(b"")


@dataclass
class Judging:
    """Rules that remember what they were asked about."""

    reads_answers: bool = True
    holds_answers: bool = False
    asked: list[dict[str, int]] = field(default_factory=list)

    def approvals_of(self, names: Any) -> tuple[()]:
        """None."""
        return ()

    @property
    def policy(self) -> Judging:
        """The same."""
        return self

    def decide_answer(self, facts: Any) -> Any:
        """Nothing to object to."""
        self.asked.append(dict(facts.answer_findings))

        class Decision:
            approvals = ()

        return Decision()


class Seen:
    """The request's inspection, as far as it is looked at."""

    findings = MappingProxyType[str, int]({})
    token_estimate = 1

    @property
    def view(self) -> Seen:
        """The same."""
        return self


def read(rules: Judging, pieces: int, *steps: AnswerStep | Unreadable) -> list[AnswerRead | AnswerFailed]:
    """What an answer tells of so many pieces, the last of which is its end."""
    request: Any = type("Asked", (), {"caller": None})
    answer: Any = Answer
    answer = answer(
        rules, request, Seen(), Told(list(steps)), clock=lambda: 0.0, new_id=str, threads=None, reserve=None
    )

    async def run() -> list[AnswerRead | AnswerFailed]:
        return [await answer.read(b"x", is_last=i == pieces - 1) for i in range(pieces)]

    return asyncio.run(run())


def step(release: bytes = b"", *, last: bool = False, usage: Usage | None = None, **found: int) -> AnswerStep:
    return AnswerStep(release, found, {name: n + 1 for name, n in found.items()}, usage, last)


def test_the_last_piece_and_the_end_are_one_step() -> None:
    usage = Usage(prompt_tokens=1, completion_tokens=2)
    (told,) = read(Judging(), 1, step(b"a", usage=usage, A=1, B=1), step(b"b", last=True, B=2, C=3))
    assert isinstance(told, AnswerRead)
    found = {"A": 1, "B": 3, "C": 3}
    masked = {"A": 2, "B": 5, "C": 4}
    assert told.step == AnswerStep(b"ab", found, masked, usage, is_last=True)


def test_rules_are_asked_at_the_beginning_and_about_each_new_finding_with_all_before() -> None:
    rules = Judging()
    told = read(rules, 4, step(b"a"), step(b"b", A=1), step(b"c"), step(A=1, B=1), step(last=True))
    assert rules.asked == [{}, {"A": 1}, {"A": 2, "B": 1}]
    assert [isinstance(t, AnswerRead) and t.decision is not None for t in told] == [True, True, False, True]


def test_rules_that_read_no_answers_are_not_asked() -> None:
    rules = Judging(reads_answers=False)
    read(rules, 2, step(b"a", A=1), step(), step(last=True))
    assert rules.asked == []


def test_what_cannot_be_read_is_a_failed_answer() -> None:
    error = Unreadable("no", code="unreadable_answer", status=502)
    assert read(Judging(), 1, error) == [AnswerFailed(error)]
    assert read(Judging(), 1, step(b"a"), error) == [AnswerFailed(error)]


@pytest.mark.parametrize("data", [b"", b"x"])
def test_a_path_that_passes_unread_goes_on_as_it_comes(data: bytes) -> None:
    pipe = UnreadPipe()
    assert pipe.feed(data) == AnswerStep(data, {}, {})
    assert pipe.finish() == AnswerStep(b"", {}, {}, is_last=True)
