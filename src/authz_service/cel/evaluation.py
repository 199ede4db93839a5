"""Evaluates a bundle of conditions over one set of facts, which are prepared once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from authz_service.cel.faults import UNKNOWN, failure
from authz_service.policy.conditions import Answer, Condition, Failed

Facts = TypeVar("Facts", contravariant=True)

MOST_TOGETHER: Final = 32
"""Conditions that are asked at once; the engine's integers have 64 bits, and its parser limits depth."""


@dataclass(frozen=True, slots=True, eq=False)
class CelCondition:
    """A checked expression of one phase, and what it reads: `caller.groups`, `findings.EMAIL_ADDRESS`.

    Of claims it reads `caller.claims` and each by its name, `caller.claims.dept`; `caller.claims.*` where it
    does not say which.
    """

    text: str
    reads: frozenset[str]
    expression: Any


class CelConditions(Generic[Facts]):
    """Conditions that share an activation for each set of facts."""

    def __init__(
        self,
        environment: Any,
        conditions: Sequence[Condition],
        build: Callable[[Facts], dict[str, Any]],
    ) -> None:
        self._environment = environment
        self._build = build
        checked = [_checked(condition) for condition in conditions]
        self._count = len(checked)
        self._bundles = [
            Bundle(environment, checked[at : at + MOST_TOGETHER])
            for at in range(0, len(checked), MOST_TOGETHER)
        ]

    def evaluate(self, facts: Facts) -> Sequence[Answer]:
        """An answer for each condition, in order; never raises."""
        if not self._count:
            return ()
        try:
            activation = self._environment.Activation(self._build(facts))
        except Exception:  # a claim or text that the engine cannot hold: no condition has an answer
            return [UNKNOWN] * self._count
        if len(self._bundles) == 1:
            return self._bundles[0].answers(activation)
        return [answer for bundle in self._bundles for answer in bundle.answers(activation)]


class Bundle:
    """Conditions that are asked at once, since each question to the engine costs more than its answer.

    The engine is given one sum, in which the nth condition counts 2^n when it is true. Where a condition
    fails, so does the sum, and each is asked for itself.
    """

    def __init__(self, environment: Any, conditions: Sequence[CelCondition]) -> None:
        self._expressions = [condition.expression for condition in conditions]
        self._sum = _sum(environment, conditions) if len(conditions) > 1 else None

    def answers(self, activation: Any) -> Sequence[Answer]:
        """An answer for each condition, in order; never raises."""
        if self._sum is not None:
            try:
                total = self._sum.eval(activation).value()
                if type(total) is int:  # an error is a string
                    return _bits(total, len(self._expressions))
            except Exception:  # noqa: S110 - whose fault it was is found out below
                pass
        return [_answer(expression, activation) for expression in self._expressions]


def _sum(environment: Any, conditions: Sequence[CelCondition]) -> Any:
    """None where the engine does not take it: long conditions may be too much in one."""
    # A condition may end with a comment, which the line feed ends.
    terms = (f"(({condition.text}\n) ? {1 << n} : 0)" for n, condition in enumerate(conditions))
    try:
        return environment.compile(" + ".join(terms))
    except Exception:
        return None


@lru_cache(maxsize=256)
def _bits(total: int, count: int) -> tuple[bool, ...]:
    return tuple(bool(total >> n & 1) for n in range(count))


def _answer(expression: Any, activation: Any) -> Answer:
    try:
        result = expression.eval(activation)
        value = result.value()
        # The two that only a BOOL has; asking for its type besides would take as long as evaluating.
        if value is True or value is False:
            return value
        # An evaluation error comes back as a value, whose text is true in Python.
        return failure(value) if isinstance(value, str) else Failed("the condition is not a boolean")
    except Exception as error:  # the engine raises too, as when its budget of steps is used up
        return failure(str(error))


def _checked(condition: Condition) -> CelCondition:
    if not isinstance(condition, CelCondition):
        raise TypeError(f"a condition of another engine: {type(condition).__name__}")
    return condition
