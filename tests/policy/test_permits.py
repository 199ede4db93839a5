"""What a rule permits unread counts only when it allows or holds, matched, and is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from authz_service.policy.conditions import Failed
from authz_service.policy.decision import Decision, Effect
from authz_service.policy.rules import Rule
from authz_service.view.caller import Caller
from authz_service.view.unread import Kind

IMAGE, AUDIO = frozenset({Kind.IMAGE}), frozenset({Kind.AUDIO})

MakeRule = Callable[..., Rule]
Judge = Callable[..., Decision]


def permitting(rule: Rule, kinds: frozenset[Kind] = IMAGE) -> Rule:
    return replace(rule, permits=kinds)


def test_the_kinds_of_all_that_allow_or_hold_add_up(rule: MakeRule, judge: Judge) -> None:
    allow, hold = permitting(rule("a", Effect.ALLOW)), permitting(rule("b", Effect.HOLD), AUDIO)
    assert judge(allow, hold, rule("c", Effect.ALLOW)).permits == IMAGE | AUDIO
    assert judge(allow, rule("d", Effect.DENY)).permits == IMAGE
    assert judge(rule("c", Effect.ALLOW)).permits == frozenset()
    assert judge(default=Effect.ALLOW).permits == frozenset()


@pytest.mark.parametrize(
    "how", [{"answer": False}, {"shadow": True}, {"answer": Failed("no")}, {"answer": False, "shadow": True}]
)
def test_a_rule_that_did_not_match_failed_or_is_in_the_shadow_permits_nothing(
    rule: MakeRule, judge: Judge, how: dict[str, Any]
) -> None:
    for effect in (Effect.ALLOW, Effect.HOLD):
        decision = judge(permitting(rule("a", effect, **how)), rule("b", Effect.ALLOW))
        assert decision.permits == frozenset()


def test_a_hold_that_is_only_presumed_permits_nothing(rule: MakeRule, judge: Judge, caller: Caller) -> None:
    unsure = replace(caller, groups_complete=False)
    for answer in (True, False):
        held = judge(permitting(rule("h", Effect.HOLD, answer=answer, reads="caller.groups")), by=unsure)
        assert (held.effect, held.permits) == (Effect.HOLD, frozenset())
    asking = permitting(rule("h", Effect.HOLD, reads="caller.groups caller.groups_complete"))
    assert judge(asking, by=unsure).permits == IMAGE


def test_what_denies_permits_nothing_and_nothing_permits_what_is_malformed(rule: MakeRule) -> None:
    with pytest.raises(ValueError, match="permits"):
        permitting(rule("d", Effect.DENY))
    with pytest.raises(ValueError, match="permits"):
        permitting(rule("a", Effect.ALLOW), frozenset({Kind.MALFORMED}))
