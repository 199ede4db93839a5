"""Who takes part in tests of the review API, with their tokens and roles."""

from __future__ import annotations

from dataclasses import dataclass, field

from authz_service.core.holds import Approval, Stage, StageRef
from authz_service.core.stored_holds import (
    HoldSummary,
)
from authz_service.errors import (
    Unauthenticated,
)
from authz_service.view.caller import Caller

NOW = 1_795_000_000.0


def person(name: str, *groups: str, expires_at: float = NOW + 3600) -> Caller:
    """Someone of the test's only issuer."""
    return Caller("https://issuer.test", name, expires_at, groups)


PEOPLE = {
    "alice": person("alice", "contractors"),
    "rita": person("rita", "reviewers", "security"),
    "olga": person("olga", "operators"),
    "rob": person("rob", "reviewers", "security"),
    "lea": person("lea", "reviewers", "legal"),
    "ada": person("ada", "auditors"),
    "oda": person("oda", "officers"),
    "pia": person("pia", "auditors", "originals"),
    "ina": person("ina", "reviewers", "originals"),
    "bob": person("bob", "staff"),
    "cora": person("cora", "reviewers", "security", "outside"),
}
CONCEALED = frozenset({"EMAIL_ADDRESS", "CREDIT_CARD"})
SECURITY = Approval("security", (Stage("security", 1, 1800.0),))


@dataclass
class People:
    """Tokens are `token-NAME`."""

    known: dict[str, Caller] = field(default_factory=lambda: dict(PEOPLE))
    seen: list[str] = field(default_factory=list)

    async def verify_review(self, token: str) -> Caller:
        self.seen.append(token)
        name = token.removeprefix("token-")
        if token == name or name not in self.known:
            raise Unauthenticated("the signature of the token is not valid")
        return self.known[name]


class GroupRoles:
    """A stage's condition is the name of a group, and what else it reads."""

    def is_reviewer(self, person: Caller) -> bool:
        return "reviewers" in person.groups

    def is_auditor(self, person: Caller) -> bool:
        return "auditors" in person.groups

    def is_operator(self, person: Caller) -> bool:
        return "operators" in person.groups

    def may_read_originals(self, person: Caller) -> bool:
        return "originals" in person.groups

    def may_break_glass(self, person: Caller) -> bool:
        return "glass" in person.groups

    def is_record_officer(self, person: Caller) -> bool:
        return "officers" in person.groups

    def stages_for(self, person: Caller, hold: HoldSummary) -> tuple[StageRef, ...]:
        return tuple(
            StageRef(approval.name, index)
            for approval in hold.approvals
            for index, stage in enumerate(approval.stages)
            if stage.reviewers.split()[0] in person.groups
        )

    def stage_reads(self, hold: HoldSummary) -> frozenset[str]:
        stages = [stage for approval in hold.approvals for stage in approval.stages]
        return frozenset(word for stage in stages for word in stage.reviewers.split()[1:])

    def concealed_from(self, person: Caller) -> frozenset[str]:
        return CONCEALED if "outside" in person.groups else frozenset()
