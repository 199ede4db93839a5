"""The strongest effect of all rules that match wins, and what cannot be evaluated denies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.policy.conditions import Failed
from authz_service.policy.decision import Effect, RuleOutcome
from authz_service.policy.rules import Rule, decide
from authz_service.view.caller import Caller

Make = Callable[..., Any]
ALLOW, HOLD, DENY = Effect.ALLOW, Effect.HOLD, Effect.DENY
BROKEN = Failed("something that the condition reads is not there")


class Never:
    text = "false"
    reads: frozenset[str] = frozenset()


@st.composite
def outcomes(draw: st.DrawFn) -> RuleOutcome:
    return RuleOutcome(
        draw(st.text("abcdef", min_size=1, max_size=3)),
        draw(st.sampled_from(Effect)),
        matched=draw(st.booleans()),
        shadow=draw(st.booleans()),
        error=draw(st.none() | st.just("broken")),
    )


def expected_effect(results: list[RuleOutcome], default: Effect) -> Effect:
    """The promise, said another way: a loop over strengths instead of a maximum."""
    live = [result for result in results if not result.shadow]
    if any(result.error for result in live):
        return DENY
    for effect in (DENY, HOLD, ALLOW):
        if any(result.matched and result.effect is effect for result in live):
            return effect
    return default


def rules_of(results: list[RuleOutcome]) -> list[Rule]:
    return [
        Rule(result.rule, Never(), result.effect, "approval" if result.effect is HOLD else None)
        for result in results
    ]


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.lists(outcomes(), max_size=8), st.sampled_from([ALLOW, DENY]))
def test_the_strongest_effect_wins_in_whatever_order_the_rules_stand(
    data: st.DataObject, results: list[RuleOutcome], default: Effect
) -> None:
    shuffled = data.draw(st.permutations(results))
    first = decide(rules_of(results), results, default=default, policy="p", subject="request")
    second = decide(rules_of(shuffled), shuffled, default=default, policy="p", subject="request")
    assert first.effect is second.effect is expected_effect(results, default)
    assert set(first.approvals) == set(second.approvals)


def test_nothing_matched_means_the_default_and_says_so(rule: Make, judge: Make) -> None:
    denied = judge(rule("a", ALLOW, answer=False))
    assert (denied.effect, denied.rule) == (DENY, "default")
    assert denied.reason == "No rule allows this request."
    assert judge(rule("a", DENY, answer=False), default=ALLOW).effect is ALLOW


def test_an_empty_rule_list_denies(judge: Make) -> None:
    assert judge().effect is DENY


@pytest.mark.parametrize("effect", list(Effect))
def test_a_rule_that_fails_to_evaluate_denies_whatever_its_effect(
    rule: Make, judge: Make, effect: Effect
) -> None:
    decision = judge(rule("fine", ALLOW), rule("broken", effect, answer=BROKEN))
    assert (decision.effect, decision.rule) == (DENY, "broken")
    assert decision.outcomes[1].error == BROKEN.error
    assert "could not be evaluated" in decision.reason


@pytest.mark.parametrize("answer", [True, BROKEN])
def test_a_shadow_rule_is_on_record_and_changes_nothing(rule: Make, judge: Make, answer: object) -> None:
    decision = judge(rule("staff", ALLOW), rule("trial", DENY, answer=answer, shadow=True))
    assert (decision.effect, decision.rule) == (ALLOW, "staff")
    trial = decision.outcomes[1]
    assert trial.shadow
    assert trial.matched or trial.error


def test_the_first_rule_in_the_file_names_a_tie(rule: Make, judge: Make) -> None:
    assert judge(rule("a", ALLOW), rule("b", DENY), rule("c", DENY)).rule == "b"


def test_every_matching_hold_rule_asks_for_its_approval_once(rule: Make, judge: Make) -> None:
    first = rule("a", HOLD)
    again = replace(rule("b", HOLD), approval=first.approval)
    unmatched, shadow = rule("d", HOLD, answer=False), rule("e", HOLD, shadow=True)
    decision = judge(first, again, rule("c", HOLD), unmatched, shadow, rule("f", ALLOW))
    assert decision.approvals == ("a-approval", "c-approval")
    assert judge(first, rule("g", DENY)).approvals == ()


@pytest.mark.parametrize(("effect", "expected"), [(ALLOW, DENY), (HOLD, HOLD), (DENY, DENY)])
def test_where_groups_may_be_missing_what_reads_them_never_opens_up(
    rule: Make, judge: Make, caller: Caller, effect: Effect, expected: Effect
) -> None:
    partial = replace(caller, groups_complete=False)
    for answer in (True, False):
        decision = judge(rule("r", effect, answer=answer, reads="caller.groups"), by=partial)
        assert decision.effect is expected
        assert decision.outcomes[0].matched is (effect is not ALLOW)


def test_a_rule_that_asks_for_groups_complete_is_taken_at_its_word(
    rule: Make, judge: Make, caller: Caller
) -> None:
    partial = replace(caller, groups_complete=False)
    asks = "caller.groups caller.groups_complete"
    assert judge(rule("r", ALLOW, answer=True, reads=asks), by=partial).effect is ALLOW
    assert judge(rule("r", DENY, answer=False, reads=asks), default=ALLOW, by=partial).effect is ALLOW


def test_groups_that_are_complete_are_simply_read(rule: Make, judge: Make) -> None:
    assert judge(rule("r", ALLOW, answer=True, reads="caller.groups")).effect is ALLOW


def test_a_reason_of_the_operators_reaches_the_caller(rule: Make, judge: Make) -> None:
    keyed = replace(rule("no-keys", DENY), reason="Private keys may not be sent to a model.")
    assert judge(keyed).reason == "Private keys may not be sent to a model."


def test_a_hold_without_approval_or_an_approval_without_hold_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="approval"):
        Rule("r", Never(), HOLD)
    with pytest.raises(ValueError, match="approval"):
        Rule("r", Never(), ALLOW, "security")
    with pytest.raises(ValueError, match="default"):
        Rule("default", Never(), ALLOW)
