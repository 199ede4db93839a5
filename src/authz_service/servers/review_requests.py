"""Reads what reviewers' tools send: filters, cursors and votes, each within its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1 import sessions_pb2
from authz_service.core.holds import Verdict
from authz_service.core.ports import HoldQuery, HoldState, SessionQuery
from authz_service.errors import Unreadable
from authz_service.servers.review_messages import STATES

MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_REASON = 4096
MAX_KEY = 128

_STATE_OF: dict[int, HoldState] = {number: state for state, number in STATES.items()}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CURSOR = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Word:
    """What a vote says beside its verdict, checked."""

    digest: str
    reason: str
    idempotency_key: str


def hold_query(request: pb.ListHoldsRequest, *, page_token: str | None = None) -> HoldQuery:
    """Raises `Unreadable` for a state that does not exist, which must not mean `any`."""
    unknown = [number for number in request.states if number not in _STATE_OF]
    if unknown:
        raise Unreadable(f"there is no hold state number {unknown[0]}", code="unknown_state")
    return HoldQuery(
        states=tuple(_STATE_OF[number] for number in request.states),
        id_prefix=request.id_prefix,
        caller=request.caller,
        model=request.model,
        rule=request.rule,
        page_size=_page_size(request.page_size),
        page_token=request.page_token if page_token is None else page_token,
    )


def session_query(request: sessions_pb2.ListSessionsRequest) -> SessionQuery:
    """The filters of a list of sessions."""
    return SessionQuery(
        id_prefix=request.id_prefix,
        caller=request.caller,
        model=request.model,
        decision=request.decision,
        status=request.status,
        rule=request.rule,
        page_size=_page_size(request.page_size),
        page_token=request.page_token,
    )


def read_cursor(cursor: str) -> int | None:
    """Where to watch on from; None for the beginning. Raises `Unreadable` for what is no cursor."""
    if not cursor:
        return None
    if not _CURSOR.fullmatch(cursor):
        raise Unreadable("this is no cursor of this server; watch without one", code="foreign_cursor")
    return int(cursor)


def read_vote(request: pb.ApproveHoldRequest | pb.RejectHoldRequest, verdict: Verdict) -> Word:
    """Raises `Unreadable` for a digest that is none, a text over its limit, a rejection without reason."""
    if not _DIGEST.fullmatch(request.digest):
        raise Unreadable("name what you decide by `digest`: 64 lower-case hex digits", code="digest_required")
    if verdict is Verdict.REJECT and not request.reason.strip():
        raise Unreadable("a rejection needs a reason: the caller reads it", code="reason_required")
    if len(request.reason) > MAX_REASON:
        raise Unreadable(f"a reason has at most {MAX_REASON} characters", code="reason_too_long")
    if len(request.idempotency_key) > MAX_KEY:
        raise Unreadable(f"an idempotency key has at most {MAX_KEY} characters", code="key_too_long")
    return Word(request.digest, request.reason, request.idempotency_key)


def _page_size(asked: int) -> int:
    return min(asked, MAX_PAGE) or DEFAULT_PAGE
