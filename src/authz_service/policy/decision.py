"""What the rules decided, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from authz_service.view.caller import Caller
from authz_service.view.request import RequestView
from authz_service.view.unread import Kind


class Effect(IntEnum):
    """Ordered by strength: the strongest of all rules that match counts."""

    ALLOW = 0
    HOLD = 1
    DENY = 2


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule's part in a decision. `error` is set where evaluation failed, which counts as deny.

    `permits` are the kinds of content that it lets through unread.
    """

    rule: str
    effect: Effect
    matched: bool
    shadow: bool = False
    error: str | None = None
    permits: frozenset[Kind] = frozenset()

    @property
    def is_hold(self) -> bool:
        """Whether it asks for an approval."""
        return self.effect is Effect.HOLD and self.matched and not self.shadow


@dataclass(frozen=True, slots=True)
class Decision:
    """`rule` is the one that decided ("default" when none matched); `reason` is what callers read.

    `approvals` are the names that all matching hold rules ask for, when the effect is HOLD. `permits` are
    the kinds of content that may go on unread, by all allow and hold rules that matched.
    """

    effect: Effect
    rule: str
    reason: str
    policy: str
    approvals: tuple[str, ...] = ()
    outcomes: tuple[RuleOutcome, ...] = ()
    permits: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the rules for requests may know. `now` in seconds since the epoch."""

    caller: Caller
    request: RequestView
    findings: Mapping[str, int]
    now: float


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What the rules for answers may know; `answer_findings` counts those of the answer so far."""

    caller: Caller
    request: RequestView
    findings: Mapping[str, int]
    answer_findings: Mapping[str, int] = field(default_factory=dict)
    now: float = 0.0


class Policy(Protocol):
    """The rules in force, compiled. Deciding never raises: a failing rule is a deny that says so."""

    @property
    def digest(self) -> str:
        """Names these rules in the record."""
        ...

    @property
    def reads_answers(self) -> bool:
        """Whether answers need a decision at all."""
        ...

    @property
    def holds_answers(self) -> bool:
        """Whether a rule may have an answer wait: then the whole of it is kept back until it has ended."""
        ...

    @property
    def permits_references(self) -> bool:
        """Whether a rule may let through what names content that is kept elsewhere."""
        ...

    def decide_request(self, facts: RequestFacts) -> Decision:
        """Judge a request that was read."""
        ...

    def decide_answer(self, facts: AnswerFacts) -> Decision:
        """Judge an answer at each step that settled a new finding, and at its start."""
        ...

    def decide_path(self, *, method: str, path: str, caller: Caller, now: float) -> Decision | None:
        """Judge a path that no model API owns: None when `paths` does not list it."""
        ...
