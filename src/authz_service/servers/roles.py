"""Who may do what in the review API: the questions that the compiled configuration answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

from authz_service.core.acts import Review
from authz_service.core.holds import StageRef
from authz_service.core.requesters import are_one
from authz_service.core.stored_holds import HoldSummary
from authz_service.errors import AuthzError, Forbidden, NotFound
from authz_service.view.caller import Caller


class Roles(Protocol):
    """The conditions of `review` and of the stages in force. A condition that fails to evaluate is a no."""

    def is_reviewer(self, person: Caller) -> bool:
        """Whether `review.reviewers` names this person."""
        ...

    def is_auditor(self, person: Caller) -> bool:
        """Whether `review.auditors` names this person."""
        ...

    def is_operator(self, person: Caller) -> bool:
        """Whether `review.operators` names this person."""
        ...

    def may_read_originals(self, person: Caller) -> bool:
        """Whether `review.originals` names this person."""
        ...

    def may_break_glass(self, person: Caller) -> bool:
        """Whether `review.break_glass` names this person."""
        ...

    def is_record_officer(self, person: Caller) -> bool:
        """Whether `review.record_officers` names this person."""
        ...

    def stages_for(self, person: Caller, hold: HoldSummary) -> tuple[StageRef, ...]:
        """The stages of a hold whose condition names this person, open or not."""
        ...

    def stage_reads(self, hold: HoldSummary) -> frozenset[str]:
        """What the conditions of all stages of a hold look at: `findings.JWT`, `caller.groups`."""
        ...

    def concealed_from(self, person: Caller) -> frozenset[str]:
        """The entity types that `review.conceal` conceals from this person; doubt conceals."""
        ...


Held = TypeVar("Held", bound=HoldSummary)


@dataclass(frozen=True, slots=True)
class Standing:
    """What one verified person may see and do, asked anew for each call."""

    person: Caller
    roles: Roles
    is_reviewer: bool
    is_auditor: bool
    is_operator: bool
    may_break_glass: bool
    is_record_officer: bool

    @classmethod
    def of(cls, person: Caller, roles: Roles) -> Standing:
        """Raises `Forbidden` for whoever has none of the roles."""
        has = (
            roles.is_reviewer(person),
            roles.is_auditor(person),
            roles.is_operator(person),
            roles.may_break_glass(person),
            roles.is_record_officer(person),
        )
        standing = cls(person, roles, *has)
        if not any(has):
            message = "you have none of the roles of `review` in the server's configuration"
            raise Forbidden(message, code="no_role")
        return standing

    @property
    def concealed(self) -> frozenset[str]:
        """The entity types of which no value may be shown to this person, by the configuration of now.

        None to auditors: the record, which they may read, has them all.
        """
        entities = self.roles.concealed_from(self.person)
        return frozenset() if entities and self.roles.is_auditor(self.person) else entities

    def stages(self, hold: HoldSummary) -> tuple[StageRef, ...]:
        """The stages of the hold that this person may vote in: none for who is no reviewer."""
        return self.roles.stages_for(self.person, hold) if self.is_reviewer else ()

    def sees(self, hold: HoldSummary) -> bool:
        """Auditors see every hold, reviewers those of which any stage names them, or that they may review.

        Who may decide alone sees all: it is not known before in which it will be needed.
        """
        if self.is_auditor or self.may_break_glass or (self.is_reviewer and hold.review is Review.DUE):
            return True
        return bool(self.stages(hold))

    def visible(self, hold: Held | AuthzError | None) -> Held:
        """The hold, or `NotFound`: the same words whether it is missing or not for this person.

        Raises the error that is there in the place of one that cannot be read.
        """
        if isinstance(hold, AuthzError):
            raise hold
        if hold is None or not self.sees(hold):
            raise NotFound("there is no such hold that you may see", code="hold_not_found")
        return hold

    def require_another(self, hold: HoldSummary) -> None:
        """Raises `Forbidden` for whoever sent the request, owns who did, or is another account of theirs."""
        if are_one(self.person, hold.caller):
            message = "whoever sent a request cannot decide on it, nor can a service account of theirs"
            raise Forbidden(message, code="own_request")

    def require_operator(self) -> None:
        """Raises `Forbidden` for whoever is no operator."""
        if not self.is_operator:
            raise Forbidden("only operators may withdraw tokens", code="not_operator")

    def require_notifier(self) -> None:
        """Raises `Forbidden` for whoever is no operator."""
        if not self.is_operator:
            raise Forbidden("only operators may see and send notifications", code="not_operator")

    def require_killer(self) -> None:
        """Raises `Forbidden` for whoever is no operator."""
        if not self.is_operator:
            raise Forbidden("only operators may end sessions", code="not_operator")

    def require_usage(self) -> None:
        """Raises `Forbidden` for whoever is neither auditor nor operator."""
        if not self.is_auditor and not self.is_operator:
            raise Forbidden("only auditors and operators may read what others use", code="not_operator")

    def require_record_officer(self) -> None:
        """Raises `Forbidden` for whom `review.record_officers` does not name."""
        if not self.is_record_officer:
            message = "only whom review.record_officers names may purge, erase and keep what is on record"
            raise Forbidden(message, code="not_record_officer")

    def require_auditor(self) -> None:
        """Raises `Forbidden` for whoever is no auditor."""
        if not self.is_auditor:
            raise Forbidden("only auditors may read sessions", code="not_auditor")

    def require_originals(self) -> None:
        """Raises `Forbidden` for whoever may not read values before masking; an auditor may not by that."""
        self.require_auditor()
        if not self.roles.may_read_originals(self.person):
            message = (
                "values before masking may be read by auditors whom review.originals names, and by no other"
            )
            raise Forbidden(message, code="not_originals")
