"""Conditions that answer as a test says, so that rules can be tried without an expression language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from authz_service.policy.compiled import CompiledPolicy, RuleSet
from authz_service.policy.conditions import Answer, PathFacts
from authz_service.policy.decision import AnswerFacts, Decision, Effect, RequestFacts
from authz_service.policy.rules import Rule
from authz_service.view.caller import Caller
from authz_service.view.request import RequestView


@dataclass(frozen=True, slots=True)
class Says:
    """A condition whose answer is known beforehand."""

    answer: Answer
    reads: frozenset[str] = field(default_factory=frozenset)
    text: str = "as told"


@dataclass(frozen=True, slots=True)
class Told:
    """A bundle of such conditions."""

    conditions: Sequence[Says]

    def evaluate(self, facts: object) -> Sequence[Answer]:
        return [condition.answer for condition in self.conditions]


MakeRule = Callable[..., Rule]
Judge = Callable[..., Decision]


@pytest.fixture
def rule() -> MakeRule:
    """A rule by name and effect whose condition gives `answer`."""

    def make(
        name: str, effect: Effect, *, answer: Answer = True, reads: str = "", shadow: bool = False
    ) -> Rule:
        approval = f"{name}-approval" if effect is Effect.HOLD else None
        condition = Says(answer, frozenset(reads.split()))
        return Rule(name, condition, effect, approval, shadow=shadow)

    return make


@pytest.fixture
def caller() -> Caller:
    return Caller("https://issuer.example", "alice", 2e9, ("staff",))


@pytest.fixture
def policy() -> Callable[..., CompiledPolicy]:
    """A policy of these request rules, answer rules and paths."""

    def make(
        *rules: Rule,
        default: Effect = Effect.DENY,
        answer_rules: Sequence[Rule] = (),
        answer_default: Effect = Effect.ALLOW,
        paths: dict[tuple[str, str], Answer] | None = None,
    ) -> CompiledPolicy:
        path_sets: dict[tuple[str, str], RuleSet[PathFacts]] = {
            key: RuleSet(
                (Rule(" ".join(key), Says(answer), Effect.ALLOW),), Told([Says(answer)]), Effect.DENY
            )
            for key, answer in (paths or {}).items()
        }
        return CompiledPolicy(
            "digest",
            RuleSet(tuple(rules), _told(rules), default),
            RuleSet(tuple(answer_rules), _told(answer_rules), answer_default),
            path_sets,
        )

    return make


@pytest.fixture
def judge(policy: Callable[..., CompiledPolicy], caller: Caller) -> Judge:
    """What these rules decide about some request."""

    def decide(*rules: Rule, default: Effect = Effect.DENY, by: Caller = caller) -> Decision:
        facts = RequestFacts(by, RequestView("api", "chat", "llama", stream=False, texts=()), {}, 1e9)
        return policy(*rules, default=default).decide_request(facts)

    return decide


@pytest.fixture
def answer_facts(caller: Caller) -> AnswerFacts:
    return AnswerFacts(caller, RequestView("api", "chat", "llama", stream=True, texts=()), {})


def _told(rules: Sequence[Rule]) -> Told:
    return Told([condition for rule in rules if isinstance(condition := rule.condition, Says)])
