"""A phase's rules, and how their outcomes add up: every rule counts, the strongest effect wins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from authz_service.policy.conditions import Answer, Condition, Failed
from authz_service.policy.decision import Decision, Effect, RuleOutcome
from authz_service.view.unread import PERMITTABLE, Kind

DEFAULT = "default"
"""The name that a decision gives as its rule when no rule matched."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the file. `approval` is named by hold rules and by no others.

    `reason` is what the caller reads; empty means a sentence of ours. `permits` are kinds of content that
    a request may carry unread when this rule matches; a rule that denies has none.
    """

    name: str
    condition: Condition
    effect: Effect
    approval: str | None = None
    reason: str = ""
    shadow: bool = False
    permits: frozenset[Kind] = frozenset()

    def __post_init__(self) -> None:
        if self.name == DEFAULT:
            raise ValueError("a rule called 'default' could not be told from the default")
        if (self.effect is Effect.HOLD) != (self.approval is not None):
            raise ValueError(f"rule {self.name!r}: a hold names its approval, other effects have none")
        if self.permits and (self.effect is Effect.DENY or not self.permits <= PERMITTABLE):
            raise ValueError(f"rule {self.name!r}: permits what no rule of its effect can permit")


def outcome_of(rule: Rule, answer: Answer, *, groups_complete: bool) -> RuleOutcome:
    """What one rule's answer means.

    Where groups may be missing, a rule that reads them cannot be believed: what restricts counts as
    matched and what permits as unmatched, unless the rule asks for `groups_complete` itself. What it
    permits unread it permits only where it is believed.
    """
    if isinstance(answer, Failed):
        return RuleOutcome(rule.name, rule.effect, matched=False, shadow=rule.shadow, error=answer.error)
    if not groups_complete and depends_on_groups(rule.condition):
        matched = rule.effect is not Effect.ALLOW
        return RuleOutcome(rule.name, rule.effect, matched=matched, shadow=rule.shadow)
    permits = rule.permits if answer and not rule.shadow else frozenset()
    return RuleOutcome(rule.name, rule.effect, matched=answer, shadow=rule.shadow, permits=permits)


def depends_on_groups(condition: Condition, *whose: str) -> bool:
    """Whether a condition relies on groups being complete without asking whether they are.

    `whose` narrows it to `caller` or `person`.
    """
    reads = condition.reads
    return any(
        f"{who}.groups" in reads and f"{who}.groups_complete" not in reads
        for who in whose or ("caller", "person")
    )


def lacks_issuer(condition: Condition) -> bool:
    """Whether a condition reads groups without saying whose.

    With several issuers whoever may name groups at one of them could enter another's.
    """
    reads = condition.reads
    return any(f"{who}.groups" in reads and f"{who}.issuer" not in reads for who in ("caller", "person"))


def decide(
    rules: Sequence[Rule], outcomes: Sequence[RuleOutcome], *, default: Effect, policy: str, subject: str
) -> Decision:
    """Add up the outcomes of `rules` (one each, in order); shadow rules are on record and do nothing.

    Of several rules with the winning effect the first in the file gives name and reason; order has no
    other meaning. `subject` is what is judged, in words ("request", "answer").
    """
    effects = [_counted_effect(outcome) for outcome in outcomes]
    permits: frozenset[Kind] = frozenset().union(*(outcome.permits for outcome in outcomes))
    counted = [effect for effect in effects if effect is not None]
    if not counted:
        reason = "" if default is Effect.ALLOW else f"No rule allows this {subject}."
        return Decision(default, DEFAULT, reason, policy, outcomes=tuple(outcomes))
    strongest = max(counted)
    winners = [index for index, effect in enumerate(effects) if effect is strongest]
    first = winners[0]
    approvals: tuple[str, ...] = ()
    if strongest is Effect.HOLD:
        named = (rules[index].approval for index in winners)
        approvals = tuple(dict.fromkeys(name for name in named if name is not None))
    reason = _reason(rules[first], outcomes[first], subject)
    return Decision(strongest, rules[first].name, reason, policy, approvals, tuple(outcomes), permits)


def _counted_effect(outcome: RuleOutcome) -> Effect | None:
    """The effect that an outcome has on the decision; None when it has none."""
    if outcome.shadow:
        return None
    if outcome.error is not None:
        return Effect.DENY  # an allow rule that fails might have been the exception that matters
    return outcome.effect if outcome.matched else None


def _reason(rule: Rule, outcome: RuleOutcome, subject: str) -> str:
    if outcome.error is not None:
        return f"The rule {rule.name!r} could not be evaluated, so this {subject} is denied."
    if rule.reason:
        return rule.reason
    match rule.effect:
        case Effect.ALLOW:
            return ""
        case Effect.HOLD:
            return f"The rule {rule.name!r} asks for an approval of this {subject}."
        case Effect.DENY:
            return f"The rule {rule.name!r} denies this {subject}."
        case _ as never:
            assert_never(never)
