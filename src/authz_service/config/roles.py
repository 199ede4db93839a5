"""Who may review what, by the conditions of the file in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from authz_service.core.holds import Approval, StageRef
from authz_service.policy.conditions import BadCondition, Compiler, Condition, Conditions, Phase
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
        self._stages: dict[str, PersonTest | None] = {}

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

    def stages_for(self, person: Caller, approvals: Sequence[Approval]) -> tuple[StageRef, ...]:
        """The stages of `approvals`, as they were when the hold was opened, that name this person."""
        return tuple(
            StageRef(approval.name, index)
            for approval in approvals
            for index, stage in enumerate(approval.stages)
            if self._stage_names(stage.reviewers, person)
        )

    def _stage_names(self, text: str, person: Caller) -> bool:
        if text not in self._stages:
            if len(self._stages) >= _KEPT:
                self._stages.clear()
            self._stages[text] = self._compiled(text)
        test = self._stages[text]
        return test is not None and test.names(person)

    def _compiled(self, text: str) -> PersonTest | None:
        try:
            condition = self._compiler.check(Phase.PEOPLE, text)
        except BadCondition:
            return None
        if self._has_several_issuers and lacks_issuer(condition):
            return None
        return PersonTest(self._compiler, condition)


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
