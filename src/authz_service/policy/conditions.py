"""What the policy asks of an expression language: conditions checked once, evaluated together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from authz_service.policy.decision import AnswerFacts, RequestFacts
from authz_service.view.caller import Caller

Facts = TypeVar("Facts", contravariant=True)


class Phase(StrEnum):
    """Where a condition stands in the file, and with that what it may know.

    A name that its phase cannot know is an error when the file is loaded: it would be empty when the
    rule runs.
    """

    REQUESTS = "requests"
    ANSWERS = "answers"
    PATHS = "paths"
    PEOPLE = "people"
    STAGES = "stages"


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What the conditions of `paths` may know. `now` in seconds since the epoch."""

    caller: Caller
    method: str
    path: str
    now: float


@dataclass(frozen=True, slots=True)
class StageFacts:
    """What the conditions of a stage may know: who would vote, and what waits for the vote."""

    person: Caller
    caller: Caller
    api: str
    operation: str
    model: str
    rule: str
    findings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Failed:
    """A condition had no answer. `error` says why in words of ours, without any value."""

    error: str


Answer = bool | Failed


@dataclass(frozen=True, slots=True)
class TextFault:
    """What is wrong in an expression; `line` and `column` count from 1 within its text."""

    line: int
    column: int
    message: str


class BadCondition(Exception):
    """An expression was refused when it was checked, for each of `faults`."""

    def __init__(self, faults: Sequence[TextFault]) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


class Condition(Protocol):
    """One expression that passed all checks.

    `reads` names what it looks at: `caller.groups`, `findings.JWT`. A claim that groups come from
    counts as `caller.groups` (or `person.groups`) too.
    """

    @property
    def text(self) -> str:
        """The expression as it stands in the file."""
        ...

    @property
    def reads(self) -> frozenset[str]:
        """What the expression looks at."""
        ...


class Conditions(Protocol[Facts]):
    """Several conditions of one phase, which share what is prepared for each set of facts."""

    def evaluate(self, facts: Facts) -> Sequence[Answer]:
        """An answer for each condition, in their order. Never raises."""
        ...


class Compiler(Protocol):
    """Checks expressions and bundles them by phase."""

    def check(self, phase: Phase, text: str) -> Condition:
        """A condition that is a boolean over what `phase` knows; raises `BadCondition`."""
        ...

    def requests(self, conditions: Sequence[Condition]) -> Conditions[RequestFacts]:
        """Bundle conditions that `check` gave for REQUESTS."""
        ...

    def answers(self, conditions: Sequence[Condition]) -> Conditions[AnswerFacts]:
        """Bundle conditions that `check` gave for ANSWERS."""
        ...

    def paths(self, conditions: Sequence[Condition]) -> Conditions[PathFacts]:
        """Bundle conditions that `check` gave for PATHS."""
        ...

    def people(self, conditions: Sequence[Condition]) -> Conditions[Caller]:
        """Bundle conditions that `check` gave for PEOPLE."""
        ...

    def stages(self, conditions: Sequence[Condition]) -> Conditions[StageFacts]:
        """Bundle conditions that `check` gave for STAGES."""
        ...
