"""The `Policy` made of compiled rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from authz_service.policy.conditions import Answer, Conditions, Failed, PathFacts
from authz_service.policy.decision import AnswerFacts, Decision, Effect, RequestFacts, RuleOutcome
from authz_service.policy.rules import Rule, decide, outcome_of
from authz_service.view.caller import Caller

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class RuleSet(Generic[Facts]):
    """The rules of one phase with their conditions bundled, and what counts when none matched."""

    rules: tuple[Rule, ...]
    conditions: Conditions[Facts]
    default: Effect
    _usual: tuple[tuple[RuleOutcome, RuleOutcome], ...] = field(init=False, repr=False)
    """Each rule's outcome where all groups are known, unmatched and matched: made once, for speed."""

    def __post_init__(self) -> None:
        if self.default is Effect.HOLD:
            raise ValueError("a default cannot hold: it names no approval")
        pairs = (
            (outcome_of(rule, False, groups_complete=True), outcome_of(rule, True, groups_complete=True))
            for rule in self.rules
        )
        object.__setattr__(self, "_usual", tuple(pairs))  # frozen

    def decide(self, facts: Facts, caller: Caller, *, policy: str, subject: str) -> Decision:
        """Judge by every rule; raises only for a bug of ours."""
        answers = _one_for_each(self.conditions.evaluate(facts), len(self.rules))
        outcomes = [
            self._outcome(index, answer, groups_complete=caller.groups_complete)
            for index, answer in enumerate(answers)
        ]
        return decide(self.rules, outcomes, default=self.default, policy=policy, subject=subject)

    def _outcome(self, index: int, answer: Answer, *, groups_complete: bool) -> RuleOutcome:
        if groups_complete and not isinstance(answer, Failed):
            return self._usual[index][answer]
        return outcome_of(self.rules[index], answer, groups_complete=groups_complete)


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """The rules of one file. `digest` names them in every decision.

    `paths` has a rule set for each method and exact path that may pass unread.
    """

    digest: str
    request_rules: RuleSet[RequestFacts]
    answer_rules: RuleSet[AnswerFacts]
    paths: Mapping[tuple[str, str], RuleSet[PathFacts]]

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
