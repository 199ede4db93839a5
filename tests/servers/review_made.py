"""Holds and exchanges for tests of the review API, as a store would make them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from tests.servers.review_people import NOW, PEOPLE, SECURITY

from authz_service.core.holds import Approval, StageRef
from authz_service.core.sessions import Session
from authz_service.core.stored_holds import (
    Hold,
    HoldDraft,
    HoldState,
)
from authz_service.view.caller import Caller


def hold_of(draft: HoldDraft, *, at: float) -> Hold:
    """A pending hold as a store would make it."""
    first = tuple(StageRef(approval.name, 0) for approval in draft.approvals)
    values = {
        name: getattr(draft, name)
        for name in HoldDraft.__slots__
        if name not in ("entries", "replaces", "release", "quotas")
    }
    return Hold(
        **values,
        size=len(draft.forward),
        state=HoldState.PENDING,
        version=1,
        created_at=at,
        deadline=at + min(approval.stages[0].within for approval in draft.approvals),
        open_stages=first,
    )


BODY = b'{"model":"llama","messages":[{"role":"user","content":"Delete the backups."}],"seed":7}'


def make_hold(
    name: str = "hld_1",
    *,
    body: bytes = BODY,
    caller: Caller = PEOPLE["alice"],
    approvals: tuple[Approval, ...] = (SECURITY,),
    at: float = NOW,
    **changes: Any,
) -> Hold:
    """A pending hold of alice's."""
    digest = hashlib.sha256(body).hexdigest()
    draft = HoldDraft(
        id=name,
        session=name.replace("hld", "ses"),
        caller=caller,
        fingerprint=digest,
        changes=digest,
        digest=digest,
        forward=body,
        api="openai_chat",
        operation="chat_completions",
        model="llama",
        rule="contractors",
        reason="Contractors ask first.",
        policy="p" * 64,
        approvals=approvals,
        findings={"EMAIL_ADDRESS": 2},
    )
    return replace(hold_of(draft, at=at), **changes)


def make_session(name: str = "ses_1", **changes: Any) -> Session:
    """An exchange that went through."""
    session = Session(
        id=name,
        caller=PEOPLE["alice"],
        api="openai",
        method="POST",
        path="/v1/chat/completions",
        model="llama",
        decision="allow",
        rule="staff",
        hold=None,
        status="completed",
        started_at=NOW,
        ended_at=NOW + 2,
        prompt_tokens=3,
        completion_tokens=5,
    )
    return replace(session, **changes)
