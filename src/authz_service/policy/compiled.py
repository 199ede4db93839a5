"""The `Policy` made of compiled rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Generic, TypeVar

from authz_service.policy.conditions import Answer, Conditions, Failed, PathFacts
from authz_service.policy.decision import AnswerFacts, Decision, Effect, RequestFacts
from authz_service.policy.rules import Rule, decide, outcome_of
from authz_service.view.caller import Caller
from authz_service.view.unread import Kind

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class RuleSet(Generic[Facts]):
    """The rules of one phase with their conditions bundled, and what counts when none matched."""

    rules: tuple[Rule, ...]
    conditions: Conditions[Facts]
    default: Effect
    _add_up: Callable[[tuple[Answer, ...], bool, str, str], Decision] = field(
        init=False, repr=False, compare=False
    )
    """Remembers: the same answers make the same decision, and few of them are usual."""

    def __post_init__(self) -> None:
        if self.default is Effect.HOLD:
            raise ValueError("a default cannot hold: it names no approval")
        add_up = partial(_added_up, self.rules, self.default)
        object.__setattr__(self, "_add_up", lru_cache(maxsize=256)(add_up))  # frozen

    def decide(self, facts: Facts, caller: Caller, *, policy: str, subject: str) -> Decision:
        """Judge by every rule; raises only for a bug of ours."""
        answers = _one_for_each(self.conditions.evaluate(facts), len(self.rules))
        return self._add_up(tuple(answers), caller.groups_complete, policy, subject)


def _added_up(
    rules: Sequence[Rule],
    default: Effect,
    answers: Sequence[Answer],
    groups_complete: bool,
    policy: str,
    subject: str,
) -> Decision:
    outcomes = [
        outcome_of(rule, answer, groups_complete=groups_complete)
        for rule, answer in zip(rules, answers, strict=True)
    ]
    return decide(rules, outcomes, default=default, policy=policy, subject=subject)


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """The rules of one file. `digest` names them in every decision.

    `paths` has a rule set for each method and exact path that may pass unread.
    """

    digest: str
    request_rules: RuleSet[RequestFacts]
    answer_rules: RuleSet[AnswerFacts]
    paths: Mapping[tuple[str, str], RuleSet[PathFacts]]
    holds_answers: bool = field(init=False)
    """Whether a rule may have an answer wait for people; asked for each piece of an answer."""
    permits_references: bool = field(init=False)
    """Whether a rule may let through what names content that is kept elsewhere; asked for each answer."""

    def __post_init__(self) -> None:
        holds = any(rule.effect is Effect.HOLD and not rule.shadow for rule in self.answer_rules.rules)
        object.__setattr__(self, "holds_answers", holds)  # frozen
        refers = any(Kind.REFERENCE in rule.permits and not rule.shadow for rule in self.request_rules.rules)
        object.__setattr__(self, "permits_references", refers)

    @property
    def reads_answers(self) -> bool:
        """Whether answers need a decision: there are rules for them, or the default denies."""
        return bool(self.answer_rules.rules) or self.answer_rules.default is not Effect.ALLOW

    def decide_request(self, facts: RequestFacts) -> Decision:
        """Judge a request that was read."""
        return self.request_rules.decide(facts, facts.caller, policy=self.digest, subject="request")

    def decide_answer(self, facts: AnswerFacts) -> Decision:
        """Judge an answer by what was found in it so far."""
        return self.answer_rules.decide(facts, facts.caller, policy=self.digest, subject="answer")

    def decide_path(self, *, method: str, path: str, caller: Caller, now: float) -> Decision | None:
        """Judge a listed path, compared exactly as it was sent; None when it is not listed."""
        rule_set = self.paths.get((method, path))
        if rule_set is None:
            return None
        facts = PathFacts(caller, method, path, now)
        return rule_set.decide(facts, caller, policy=self.digest, subject="path")


def _one_for_each(answers: Sequence[Answer], count: int) -> Sequence[Answer]:
    """A missing answer must not read as a rule that did not match."""
    if len(answers) != count:
        return [Failed("the rules were not evaluated")] * count
    return answers
