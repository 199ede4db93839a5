"""Somebody who has the database and the key of the log, and writes what was never decided."""

from __future__ import annotations

import json
from typing import Any

from tests.store.places import pseudonym_of

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.holds import Approval, Stage, StageRef
from authz_service.core.stored_holds import Hold, HoldLimits

LIMITS = HoldLimits()


ISSUER = "https://issuer.example"


TWO = Approval("two", (Stage("true", 2, 900.0),))


LATER = "2027-01-15T09:00:00.000000Z"


class Forger:
    """Records what no transaction of ours would, with the log's own key."""

    def __init__(self, place: Any, make: Any, store: Any) -> None:
        self.place, self.make, self.store = place, make, store
        self.hold: Hold
        self.digest = ""

    async def opened(self, *, approval: Approval | None = None, session: str = "s1") -> None:
        approvals = () if approval is None else (approval,)
        draft = self.make.hold(session, approvals=approvals, traits=self.make.traits)
        self.hold = (await self.store.open_hold(draft, LIMITS)).hold
        body = json.loads((await self.store.entries(session))[-1].body)
        self.digest = body["payloads"]["forward"]["digest"]

    async def vote(
        self,
        who: str,
        *,
        account: str = "",
        stage: str = "security/0",
        vote: str = "",
        owner: str = "",
        typed: str = "",
    ) -> None:
        voter = {"voter": [ISSUER, who], "account": [ISSUER, account or who], "name": who}
        data: dict[str, Any] = {
            "hold": self.hold.id,
            "vote": vote or f"vote of {who}",
            "verdict": "approve",
            "digest": self.digest,
            "voter": pseudonym_of((ISSUER, who)),
            "stages": [stage],
            "key": None,
            **({"owners": [pseudonym_of((ISSUER, owner))]} if owner else {}),
            **({"owners": [pseudonym_of(("owner", typed))]} if typed else {}),
        }
        await self.record(Kind.HOLD_VOTED, data, {"voter": json.dumps(voter).encode()})

    async def decide(self, kind: Kind = Kind.HOLD_APPROVED) -> None:
        await self.record(kind, {"hold": self.hold.id, "digest": self.digest, "deadline": LATER})

    async def release(self, body: bytes = b"the request") -> None:
        await self.record(Kind.REQUEST_RELEASED, {"hold": self.hold.id}, {"body": body})

    async def edit(self, who: str) -> None:
        identity = (ISSUER, who)
        stages = (StageRef("security", 0),)
        revision = Revision(self.hold.digest, b"changed", {}, stages, b"[]", None)
        act = ActDraft(self.hold.id, ActKind.EDIT, identity, identity, who, "better", "", revision)
        await self.store.act(act, LIMITS)
        self.hold = await self.store.hold(self.hold.id)
        body = json.loads((await self.store.entries(self.hold.session))[-1].body)
        self.digest = body["payloads"]["forward"]["digest"]

    async def proposed(self, approval: Approval, by: str = "rita") -> str:
        await self.opened(approval=approval)
        terms = self.make.terms(approvals=(approval,), until=int(self.place.clock.time) + 900)
        maker = self.make.maker(by, approvals=(approval,))
        made = await self.store.propose_grant(self.hold.id, terms=terms, shown=self.hold.digest, by=maker)
        return str(made.id)

    async def record(
        self, kind: Kind, data: dict[str, Any], payloads: dict[str, bytes] | None = None
    ) -> None:
        await self.store.append(EntryDraft(kind, self.hold.session, data, payloads or {}))
