"""Drafts of entries, holds, ballots and acts for tests of the store."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.store.places import START, Place, pseudonym_of

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.ballots import Ballot
from authz_service.core.grants import Maker, OneCaller, Terms, Traits
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.stored_holds import HoldDraft, HoldLimits, HoldSummary
from authz_service.view.caller import Caller

TRAITS = Traits(("contractors",), ("search",), (), "a" * 64)


@dataclass(frozen=True)
class Make:
    """Values that tests need again and again; what does not matter to a test has a default."""

    security: Approval = field(default_factory=lambda: Approval("security", (Stage("true", 1, 1800.0),)))
    limits: HoldLimits = field(default_factory=HoldLimits)
    traits: Traits = TRAITS

    def place(self, url: str) -> Place:
        return Place(url)

    def caller(self, subject: str = "alice", **more: Any) -> Caller:
        return Caller("https://issuer.example", subject, START + 3600, ("staff",), **more)

    def received(
        self, session: str, subject: str = "alice", person: str | None = None, caller: str = ""
    ) -> EntryDraft:
        who = {
            "issuer": "https://issuer.example",
            "subject": subject,
            "groups": ["staff"],
            "groups_complete": True,
            "person": person,
        }
        data = {"api": "openai", "method": "POST", "path": "/v1/chat/completions"}
        data["caller"] = caller or f"p-{subject}"
        return EntryDraft(Kind.REQUEST_RECEIVED, session, {**data}, {"caller": json.dumps(who).encode()})

    def decided(self, session: str, effect: str = "allow", rule: str = "staff") -> EntryDraft:
        return EntryDraft(Kind.REQUEST_DECIDED, session, {"effect": effect, "rule": rule, "model": "llama"})

    def released(self, session: str, body: bytes = b"{}") -> EntryDraft:
        return EntryDraft(Kind.REQUEST_RELEASED, session, {}, {"body": body})

    def ended(self, session: str, outcome: str = "completed") -> EntryDraft:
        return EntryDraft(Kind.EXCHANGE_ENDED, session, {"outcome": outcome})

    def hold(
        self,
        session: str = "",
        *,
        caller: Caller | None = None,
        request: str = "the request",
        forward: bytes | None = None,
        approvals: tuple[Approval, ...] = (),
        id: str = "",
        traits: Traits | None = None,
    ) -> HoldDraft:
        session = session or uuid.uuid4().hex
        caller = caller or self.caller()
        body = request.encode() if forward is None else forward
        return HoldDraft(
            id=id or uuid.uuid4().hex,
            session=session,
            caller=caller,
            fingerprint=hashlib.sha256(request.encode()).hexdigest(),
            changes=hashlib.sha256(body).hexdigest(),
            digest=hashlib.sha256(body).hexdigest(),
            forward=body,
            api="openai",
            operation="chat",
            model="llama",
            rule="contractors",
            reason="Contractors need an approval.",
            policy="0" * 64,
            approvals=approvals or (self.security,),
            entries=(
                self.received(session, caller.subject, caller=pseudonym_of(caller.identity)),
                self.decided(session, "hold", "contractors"),
            ),
            traits=traits,
            release=None if traits is None else self.released(session, body),
        )

    def terms(self, **more: Any) -> Terms:
        """Of a grant for what `hold` makes with the traits `TRAITS`."""
        given: dict[str, Any] = {
            "beneficiary": OneCaller(self.caller().identity),
            "api": "openai",
            "operation": "chat",
            "model": "llama",
            "rules": TRAITS.rules,
            "tools": TRAITS.tools,
            "unread": TRAITS.unread,
            "template": "",
            "approvals": (self.security,),
            "uses": 2,
            "until": int(START) + 3600,
        }
        return Terms(**(given | more))

    def maker(
        self,
        name: str = "rita",
        *,
        approvals: tuple[Approval, ...] = (),
        key: str = "",
        account: tuple[str, str] | None = None,
        stages: tuple[StageRef, ...] | None = None,
    ) -> Maker:
        """Someone who may vote in every stage."""
        identity = ("https://issuer.example", name)
        everywhere = tuple(
            StageRef(a.name, i) for a in approvals or (self.security,) for i in range(len(a.stages))
        )
        may = everywhere if stages is None else stages
        return Maker(identity, account or identity, name.title(), may, "the same every day", key)

    def ballot(
        self,
        hold: HoldSummary,
        voter: str = "rita",
        verdict: Verdict = Verdict.APPROVE,
        *,
        stages: tuple[StageRef, ...] | None = None,
        digest: str = "",
        key: str = "",
        account: tuple[str, str] | None = None,
        person: tuple[str, str] | None = None,
    ) -> Ballot:
        everywhere = tuple(StageRef(a.name, i) for a in hold.approvals for i in range(len(a.stages)))
        return Ballot(
            hold=hold.id,
            voter=person or ("https://issuer.example", voter),
            name=voter.title(),
            verdict=verdict,
            digest=digest or hold.digest,
            may_vote_in=everywhere if stages is None else stages,
            reason="looked at it",
            idempotency_key=key,
            account=account,
        )
