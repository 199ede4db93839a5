"""Values that the tests of the core share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from tests.core.held_answers_play import approved as approved
from tests.core.held_answers_play import waiting as waiting

from authz_service.core.acts import AnswerHead
from authz_service.core.events import RequestJudged
from authz_service.core.holds import Approval, Stage
from authz_service.core.request import Request
from authz_service.core.stored_holds import Hold, HoldState
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.base import Operation
from authz_service.policy.decision import Decision, Effect
from authz_service.view.caller import Caller
from authz_service.view.request import RequestView

NOW = 1_800_000_000.0
SECURITY = Approval("security", (Stage("true", 1, 600.0),))


@pytest.fixture
def request_of_alice() -> Request:
    caller = Caller(issuer="https://id", subject="alice", expires_at=NOW + 3600)
    return Request("ses_1", caller, "pseudonym", "POST", "/v1/chat/completions", "openai.chat")


@pytest.fixture
def judged() -> Callable[..., RequestJudged]:
    def make(
        effect: Effect,
        *,
        forward: bytes = b"forward",
        changes: bytes | None = None,
        approval: Approval = SECURITY,
        holds_answers: bool = False,
    ) -> RequestJudged:
        view = RequestView("openai.chat", "chat", "llama", False, ())
        operation = Operation("openai.chat", "chat", "POST", "/v1/chat/completions")
        changed = forward if changes is None else changes
        inspection = RequestInspection(
            operation, view, {"X": 1}, {}, forward, b"redacted", b"fingerprint", changed, None, b"template"
        )
        approvals = (approval,) if effect is Effect.HOLD else ()
        names = tuple(a.name for a in approvals)
        decision = Decision(effect, "the-rule", "because", "digest", names)
        return RequestJudged(decision, "llama", "hold_new", NOW, inspection, approvals, holds_answers)

    return make


@pytest.fixture
def hold_in() -> Callable[..., Hold]:
    def make(
        state: HoldState,
        *,
        approval: Approval = SECURITY,
        hold_id: str = "hold_1",
        answer: AnswerHead | None = None,
    ) -> Hold:
        caller = Caller(issuer="https://id", subject="alice", expires_at=NOW - 1)
        return Hold(
            id=hold_id,
            session="ses_0",
            caller=caller,
            fingerprint=hashlib.sha256(b"fingerprint").hexdigest(),
            changes=hashlib.sha256(b"forward").hexdigest(),
            digest="9dc08e4033827c93f48cabc2f61e3f9817b51a7f1bcfa513a7537dcbc5d162e7",
            size=7,
            forward=b"forward",
            api="openai.chat",
            operation="chat",
            model="llama",
            rule="the-rule",
            reason="because",
            policy="digest",
            approvals=(approval,),
            findings={},
            previous=None,
            state=state,
            version=1,
            created_at=NOW,
            deadline=NOW + 600,
            answer=answer,
        )

    return make
