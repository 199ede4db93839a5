"""Who may have a say on a hold, or a grant, as entries tell of them: for verification.

An entry names people by pseudonym. Where the payload is there that says who it is, their accounts count as
one person, and so does whoever stands behind a service that asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from authz_service.core.holds import Approval, Pending, StageRef, Standing, Vote
from authz_service.core.requesters import Identity, is_requester
from authz_service.framing.headers import MARKS
from authz_service.store.hold_documents import read_caller
from authz_service.view.caller import Caller


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever said something: the pseudonym, those of whoever owns the account, and what its payload has.

    `typed` are pseudonyms too, of what somebody types who names this person as an owner.
    """

    pseudonym: str
    owners: frozenset[str] = frozenset()
    identities: frozenset[Identity] = frozenset()
    typed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, data: Mapping[str, Any], voter: bytes | None) -> Person:
        """By an entry's data and its payload `voter`, if that is there."""
        owners, typed = frozenset(data.get("owners", ())), frozenset(data.get("typed", ()))
        if voter is None:
            return cls(data["voter"], owners, typed=typed)
        told = json.loads(voter)
        (issuer, subject), (account_issuer, account) = told["voter"], told["account"]
        return cls(data["voter"], owners, frozenset({(issuer, subject), (account_issuer, account)}), typed)

    @classmethod
    def using(cls, data: Mapping[str, Any]) -> Person | None:
        """Who used a grant, by the data of that entry; None for one of a version that did not say so."""
        if "person" not in data:
            return None
        return cls(data["person"], frozenset(data.get("owners", ())), typed=frozenset(data["typed"]))

    @property
    def names(self) -> frozenset[str]:
        """All pseudonyms of this person."""
        return self.owners | {self.pseudonym}

    def is_any_of(self, others: Collection[Person]) -> bool:
        """Whether this is the same person as one of them."""
        return any(self._is(other) for other in others)

    def _is(self, other: Person) -> bool:
        return not (
            self.names.isdisjoint(other.names)
            and self.identities.isdisjoint(other.identities)
            and self.typed.isdisjoint(other.owners)
            and other.typed.isdisjoint(self.owners)
        )


@dataclass(slots=True)
class Eyes:
    """Whoever asked, whoever edited what waits, and those who voted."""

    requester: str
    caller: Caller | None = None
    editors: list[Person] = field(default_factory=list)
    voters: dict[str, Person] = field(default_factory=dict)
    """Who cast which vote, by its id."""

    def counted(self, vote: Vote, person: Person, votes: Sequence[Vote], stands: Standing | None) -> Vote:
        """A new vote as it counts: not in a stage in which one of the same person counts already.

        `votes` are those before it, and `stands` is what they make. As the transaction does it, each is held
        against those that count in its stage now, and no others: two people may own one service account, and
        are not one person by that.
        """
        self.voters[vote.id] = person
        standing = stands.counted if isinstance(stands, Pending) else ()
        same = [v for v in votes if v.id in standing and person.is_any_of([self.voters[v.id]])]
        done = {(ref.approval, ref.stage) for v in same for ref in v.counts_for}
        left = tuple(ref for ref in vote.counts_for if (ref.approval, ref.stage) not in done)
        return replace(vote, counts_for=left)

    def asked(self, person: Person) -> bool:
        """Whether this is whoever sent the request, or stands behind them."""
        if self.requester in person.names:
            return True
        return self.caller is not None and is_requester(self.caller, *person.identities)

    def may_approve(
        self, person: Person, stages: Sequence[StageRef], approvals: Sequence[Approval] | None
    ) -> bool:
        """Whether four eyes see it: what somebody edited they approve alone in stages that say so.

        A vote in no stage is one that decides alone. Without `approvals` nothing says what stages say.
        """
        if not person.is_any_of(self.editors):
            return True
        if not stages:
            return False
        if approvals is None:
            return True
        terms = {(a.name, n): stage for a in approvals for n, stage in enumerate(a.stages)}
        asked = [terms.get((ref.approval, ref.stage)) for ref in stages]
        return all(stage is None or stage.editor_may_approve for stage in asked)


def requester_in(detail: Mapping[str, Any]) -> Caller:
    """Who waits, by the detail of a hold, with as much of their claims as says who is behind them."""
    claims = {"owner": detail["claims"]["owner"]} if "owner" in detail.get("claims", ()) else {}
    return read_caller(detail["caller"], claims=claims, expires_at=0.0)


def edited_before(detail: Mapping[str, Any]) -> str | None:
    """The hold before, where what waits is what somebody made of an answer there."""
    marks = MARKS & detail.get("answer", {}).get("headers", {}).keys()
    previous: str | None = detail.get("previous")
    return previous if marks else None
