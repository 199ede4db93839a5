"""Evaluates a bundle of conditions over one set of facts, which are prepared once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from authz_service.cel.faults import UNKNOWN, failure
from authz_service.policy.conditions import Answer, Condition, Failed

Facts = TypeVar("Facts", contravariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class CelCondition:
    """A checked expression of one phase, and what it reads."""

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
        self._expressions = [_expression(condition) for condition in conditions]
        self._build = build

    def evaluate(self, facts: Facts) -> Sequence[Answer]:
        """An answer for each condition, in order; never raises."""
        if not self._expressions:
            return ()
        try:
            activation = self._environment.Activation(self._build(facts))
        except Exception:  # a claim or text that the engine cannot hold: no condition has an answer
            return [UNKNOWN] * len(self._expressions)
        return [_answer(expression, activation) for expression in self._expressions]


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


def _expression(condition: Condition) -> Any:
    if not isinstance(condition, CelCondition):
        raise TypeError(f"a condition of another engine: {type(condition).__name__}")
    return condition.expression
