"""The policy asks its rules and never opens up when they do not answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from authz_service.policy.compiled import CompiledPolicy, RuleSet
from authz_service.policy.conditions import Answer, Failed
from authz_service.policy.decision import AnswerFacts, Effect, Policy
from authz_service.policy.digest import policy_digest
from authz_service.policy.rules import Rule
from authz_service.view.caller import Caller
from authz_service.view.unread import Kind

Make = Callable[..., Any]


class Silent:
    """A bundle that lost its answers."""

    def evaluate(self, facts: object) -> Sequence[Answer]:
        return []


def test_a_compiled_policy_is_a_policy(policy: Callable[..., CompiledPolicy]) -> None:
    as_seam: Policy = policy()
    assert as_seam.digest == "digest"


def test_a_deny_rule_without_an_answer_does_not_read_as_one_that_did_not_match(rule: Make) -> None:
    rules = RuleSet((rule("no-keys", Effect.DENY),), Silent(), Effect.ALLOW)
    decision = rules.decide(None, Caller("i", "s", 0.0), policy="p", subject="request")
    assert decision.effect is Effect.DENY


class Spoken:
    """A bundle that answers what it is asked with."""

    def evaluate(self, facts: Sequence[Answer]) -> Sequence[Answer]:
        return facts


def test_a_decision_that_was_made_before_is_for_the_same_answers_and_groups_only(rule: Make) -> None:
    rules = RuleSet((rule("staff", Effect.ALLOW, reads="caller.groups"),), Spoken(), Effect.DENY)
    some = Caller("i", "s", 0.0, groups_complete=False)
    every = Caller("i", "s", 0.0)
    asked: list[tuple[Answer, Caller, Effect, str | None]] = [
        (True, every, Effect.ALLOW, None),
        (True, some, Effect.DENY, None),
        (False, every, Effect.DENY, None),
        (Failed("a"), every, Effect.DENY, "a"),
        (Failed("b"), every, Effect.DENY, "b"),
        (True, every, Effect.ALLOW, None),
    ]
    for answer, caller, effect, error in asked:
        decision = rules.decide([answer], caller, policy="p", subject="request")
        assert (decision.effect, decision.outcomes[0].error) == (effect, error)
    assert rules.decide([True], every, policy="q", subject="request").policy == "q"


def test_a_default_cannot_hold() -> None:
    with pytest.raises(ValueError, match="default"):
        RuleSet((), Silent(), Effect.HOLD)


@pytest.mark.parametrize(
    ("answer", "effect"), [(True, Effect.ALLOW), (False, Effect.DENY), (Failed("x"), Effect.DENY)]
)
def test_a_listed_path_passes_only_when_its_condition_is_true(
    policy: Make, caller: Caller, answer: Answer, effect: Effect
) -> None:
    listed: Policy = policy(paths={("GET", "/health"): answer})
    decision = listed.decide_path(method="GET", path="/health", caller=caller, now=0.0)
    assert decision is not None
    assert decision.effect is effect


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/health"), ("GET", "/Health"), ("GET", "/health/"), ("get", "/health")]
)
def test_a_path_is_compared_exactly(policy: Make, caller: Caller, method: str, path: str) -> None:
    listed: Policy = policy(paths={("GET", "/health"): True})
    assert listed.decide_path(method=method, path=path, caller=caller, now=0.0) is None


def test_answers_need_a_decision_when_a_rule_or_the_default_might_deny(policy: Make, rule: Make) -> None:
    assert not policy().reads_answers
    assert policy(answer_default=Effect.DENY).reads_answers
    assert policy(answer_rules=[rule("trial", Effect.DENY, shadow=True)]).reads_answers


def test_answers_are_kept_back_only_where_a_rule_in_force_may_hold_them(policy: Make, rule: Make) -> None:
    assert policy(answer_rules=[rule("review", Effect.HOLD)]).holds_answers
    assert not policy(answer_rules=[rule("trial", Effect.HOLD, shadow=True)]).holds_answers
    assert not policy(answer_rules=[rule("never", Effect.DENY)]).holds_answers


def test_references_are_permitted_where_a_rule_in_force_names_them(policy: Make, rule: Make) -> None:
    def naming(kind: Kind, effect: Effect = Effect.ALLOW, *, shadow: bool = False) -> Rule:
        plain: Rule = rule("one", effect, shadow=shadow)
        return replace(plain, permits=frozenset({kind}))

    assert policy(naming(Kind.REFERENCE)).permits_references
    assert policy(naming(Kind.REFERENCE, Effect.HOLD)).permits_references
    assert not policy(naming(Kind.REFERENCE, shadow=True)).permits_references
    assert not policy(naming(Kind.IMAGE)).permits_references


def test_answers_are_judged_by_their_own_rules(policy: Make, rule: Make, answer_facts: AnswerFacts) -> None:
    strict = policy(rule("staff", Effect.ALLOW), answer_rules=[rule("no-tokens", Effect.DENY)])
    decision = strict.decide_answer(answer_facts)
    assert (decision.effect, decision.rule) == (Effect.DENY, "no-tokens")
    assert decision.reason == "The rule 'no-tokens' denies this answer."


def test_the_digest_names_the_content_and_not_the_order_of_keys() -> None:
    assert policy_digest({"a": 1, "b": [1, 2]}) == policy_digest({"b": [1, 2], "a": 1})
    assert policy_digest({"a": [1, 2]}) != policy_digest({"a": [2, 1]})
