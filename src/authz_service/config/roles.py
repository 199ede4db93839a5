"""Who may review what, by the conditions of the file in force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from authz_service.core.grant_terms import ANYTHING
from authz_service.core.holds import Stage, StageRef
from authz_service.core.people import is_service_account
from authz_service.core.stored_holds import HoldSummary
from authz_service.policy.conditions import (
    BadCondition,
    Compiler,
    Condition,
    Conditions,
    Phase,
    StageFacts,
)
from authz_service.policy.rules import depends_on_groups, lacks_issuer
from authz_service.view.caller import Caller

_KEPT: Final = 256
"""Conditions of stages that stay compiled; holds of earlier files can bring any number."""


@dataclass(frozen=True, slots=True)
class RoleConditions:
    """The conditions of `review`."""

    reviewers: Condition
    auditors: Condition
    operators: Condition
    originals: Condition
    break_glass: Condition
    record_officers: Condition
    conceal: tuple[tuple[Condition, frozenset[str]], ...] = field(default=(), kw_only=True)
    """Whom each does not concern, and the entity types that it conceals from all others."""


class FileRoles:
    """Answers who is a reviewer, an auditor, an operator, and in which stages a person may vote.

    A condition that fails, that cannot be read any more, or that relies on groups which may be missing
    is a no.
    """

    def __init__(self, compiler: Compiler, conditions: RoleConditions, *, has_several_issuers: bool) -> None:
        self._compiler = compiler
        self._has_several_issuers = has_several_issuers
        self._reviewers = PersonTest(compiler, conditions.reviewers)
        self._auditors = PersonTest(compiler, conditions.auditors)
        self._operators = PersonTest(compiler, conditions.operators)
        self._originals = PersonTest(compiler, conditions.originals)
        self._break_glass = PersonTest(compiler, conditions.break_glass)
        self._record_officers = PersonTest(compiler, conditions.record_officers)
        self._conceal = [(PersonTest(compiler, unless), types) for unless, types in conditions.conceal]
        self._stages: dict[str, StageTest | None] = {}

    def is_reviewer(self, person: Caller) -> bool:
        """Whether `review.reviewers` names this person."""
        return self._reviewers.names(person)

    def is_auditor(self, person: Caller) -> bool:
        """Whether `review.auditors` names this person."""
        return self._auditors.names(person)

    def is_operator(self, person: Caller) -> bool:
        """Whether `review.operators` names this person."""
        return self._operators.names(person)

    def may_read_originals(self, person: Caller) -> bool:
        """Whether `review.originals` names this person."""
        return self._originals.names(person)

    def may_break_glass(self, person: Caller) -> bool:
        """Whether `review.break_glass` names this person; an account of a service is none."""
        return self._break_glass.names(person) and not is_service_account(person)

    def is_record_officer(self, person: Caller) -> bool:
        """Whether `review.record_officers` names this person."""
        return self._record_officers.names(person)

    def concealed_from(self, person: Caller) -> frozenset[str]:
        """The entity types that `review.conceal` conceals from this person.

        A condition that fails, or relies on groups which may be missing, exempts nobody.
        """
        return frozenset[str]().union(*(types for unless, types in self._conceal if not unless.names(person)))

    def stages_for(self, person: Caller, hold: HoldSummary) -> tuple[StageRef, ...]:
        """The stages of a hold, as they were when it was opened, that name this person, escalated or not."""
        facts = StageFacts(
            person, hold.caller, hold.api, hold.operation, hold.model, hold.rule, hold.findings
        )
        is_service = is_service_account(person)
        return tuple(
            ref
            for approval in hold.approvals
            for index, stage in enumerate(approval.stages)
            if stage.service_accounts or not is_service
            for ref, text in _conditions_of(StageRef(approval.name, index), stage)
            if self._stage_names(text, facts)
        )

    def stage_reads(self, hold: HoldSummary) -> frozenset[str]:
        """What the conditions of a hold's stages look at, as `Condition.reads` has it, escalated or not.

        A condition that cannot be read any more may have looked at anything.
        """
        tests = [
            self._test_of(text)
            for approval in hold.approvals
            for stage in approval.stages
            for _, text in _conditions_of(StageRef(approval.name, 0), stage)
        ]
        return frozenset[str]().union(*(ANYTHING if test is None else test.reads for test in tests))

    def _test_of(self, text: str) -> StageTest | None:
        if text not in self._stages:
            if len(self._stages) >= _KEPT:
                self._stages.clear()
            self._stages[text] = self._compiled(text)
        return self._stages[text]

    def _stage_names(self, text: str, facts: StageFacts) -> bool:
        test = self._test_of(text)
        return test is not None and test.names(facts)

    def _compiled(self, text: str) -> StageTest | None:
        try:
            condition = self._compiler.check(Phase.STAGES, text)
        except BadCondition:
            return None
        if self._has_several_issuers and lacks_issuer(condition):
            return None
        return StageTest(self._compiler, condition)


def _conditions_of(ref: StageRef, stage: Stage) -> Iterator[tuple[StageRef, str]]:
    yield ref, stage.reviewers
    if stage.escalate is not None:
        yield replace(ref, is_escalated=True), stage.escalate.reviewers


class PersonTest:
    """One condition over a person."""

    def __init__(self, compiler: Compiler, condition: Condition) -> None:
        self._conditions: Conditions[Caller] = compiler.people([condition])
        self._needs_all_groups = depends_on_groups(condition)

    def names(self, person: Caller) -> bool:
        """Whether the condition is true for this person, beyond doubt."""
        if self._needs_all_groups and not person.groups_complete:
            return False
        return list(self._conditions.evaluate(person)) == [True]


class StageTest:
    """One condition over a person and what waits for them."""

    def __init__(self, compiler: Compiler, condition: Condition) -> None:
        self.reads = condition.reads
        self._conditions: Conditions[StageFacts] = compiler.stages([condition])
        self._needs_persons_groups = depends_on_groups(condition, "person")
        self._needs_callers_groups = depends_on_groups(condition, "caller")

    def names(self, facts: StageFacts) -> bool:
        """Whether the condition is true of these, beyond doubt."""
        if self._needs_persons_groups and not facts.person.groups_complete:
            return False
        if self._needs_callers_groups and not facts.caller.groups_complete:
            return False
        return list(self._conditions.evaluate(facts)) == [True]
