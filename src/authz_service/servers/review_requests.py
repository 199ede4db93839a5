"""Reads what reviewers' tools send: filters, cursors and votes, each within its limits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1 import sessions_pb2
from authz_service.core.acts import Review
from authz_service.core.holds import Verdict
from authz_service.core.sessions import SessionQuery
from authz_service.core.stored_holds import HoldQuery, HoldState
from authz_service.errors import Unreadable
from authz_service.servers.review_messages import STATES

MAX_PAGE = 200
DEFAULT_PAGE = 50
MAX_REASON = 4096
MAX_KEY = 128
MAX_READ = 100  # sessions in one call
MAX_SEARCH = 1024
MOST_KNOWN = 10_000

_STATE_OF: dict[int, HoldState] = {number: state for state, number in STATES.items()}
_VERDICT_OF: dict[int, Verdict] = {
    pb.VERDICT_APPROVE: Verdict.APPROVE,
    pb.VERDICT_REJECT: Verdict.REJECT,
}
_REVIEW_OF: dict[int, Review | None] = {
    pb.REVIEW_STATE_UNSPECIFIED: None,
    pb.REVIEW_STATE_DUE: Review.DUE,
    pb.REVIEW_STATE_DONE: Review.DONE,
}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CURSOR = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Word:
    """What a vote says beside its verdict, checked."""

    digest: str
    reason: str
    idempotency_key: str
    is_break_glass: bool = False


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
        review=_review(request.review),
        page_size=page_size(request.page_size),
        page_token=request.page_token if page_token is None else page_token,
    )


def session_query(request: sessions_pb2.ListSessionsRequest) -> SessionQuery:
    """The filters of a list of sessions; raises `Unreadable` for a search that is too long."""
    return SessionQuery(
        id_prefix=request.id_prefix,
        caller=request.caller,
        model=request.model,
        decision=request.decision,
        status=request.status,
        rule=request.rule,
        group=request.group,
        entity=request.entity,
        reviewer=request.reviewer,
        since=_seconds(request.since) if request.HasField("since") else None,
        until=_seconds(request.until) if request.HasField("until") else None,
        text=_searched(request.text),
        page_size=page_size(request.page_size),
        page_token=request.page_token,
    )


def session_names(request: sessions_pb2.GetSessionsRequest) -> list[str]:
    """Raises `Unreadable` where there are none, too many, or one twice."""
    names = list(request.ids)
    if not 0 < len(names) <= MAX_READ:
        raise Unreadable(f"ids: name 1 to {MAX_READ} sessions", code="ids_unreadable")
    if len(set(names)) < len(names):
        raise Unreadable("ids: name each session once", code="ids_unreadable")
    return names


def read_cursor(cursor: str) -> int | None:
    """Where to watch on from; None for the beginning. Raises `Unreadable` for what is no cursor."""
    if not cursor:
        return None
    if not _CURSOR.fullmatch(cursor):
        raise Unreadable("this is no cursor of this server; watch without one", code="foreign_cursor")
    return int(cursor)


def read_known(names: Sequence[str]) -> list[str]:
    """The ids of holds that whoever watches shows; raises `Unreadable` for more than 10,000."""
    if len(names) > MOST_KNOWN:
        raise Unreadable(f"name at most {MOST_KNOWN:,} holds that you know", code="known_too_many")
    return list(dict.fromkeys(names))


def read_vote(request: pb.ApproveHoldRequest | pb.RejectHoldRequest, verdict: Verdict) -> Word:
    """Raises `Unreadable` for a digest that is none, a text over its limit, a rejection without reason."""
    if request.break_glass and not request.reason.strip():
        raise Unreadable("a decision that is made alone needs a reason", code="reason_required")
    read_digest(request.digest)
    if verdict is Verdict.REJECT and not request.reason.strip():
        raise Unreadable("a rejection needs a reason: the caller reads it", code="reason_required")
    reason = read_text(request.reason, request.idempotency_key)
    return Word(request.digest, reason, request.idempotency_key, is_break_glass=request.break_glass)


def read_digest(digest: str) -> None:
    """Raises `Unreadable` for a digest that is none."""
    if not _DIGEST.fullmatch(digest):
        raise Unreadable("name what you decide by `digest`: 64 lower-case hex digits", code="digest_required")


def read_text(text: str, idempotency_key: str, *, needed_for: str = "") -> str:
    """A reason or a comment, within its limits; raises `Unreadable`, also for none that is `needed_for`."""
    if needed_for and not text.strip():
        raise Unreadable(f"{needed_for} needs words", code="reason_required")
    if len(text) > MAX_REASON:
        raise Unreadable(f"a reason has at most {MAX_REASON} characters", code="reason_too_long")
    if len(idempotency_key) > MAX_KEY:
        raise Unreadable(f"an idempotency key has at most {MAX_KEY} characters", code="key_too_long")
    return text


def read_answer_texts(request: pb.EditHoldRequest) -> dict[str, str]:
    """The edited texts of an answer by name; raises `Unreadable` for a name twice, or a body beside them."""
    texts = {text.name: text.text for text in request.texts}
    if request.body or len(texts) < len(request.texts):
        message = "an edit has the body of a request, or texts of an answer, each once"
        raise Unreadable(message, code="edit_malformed")
    return texts


def read_votes(
    request: pb.DecideHoldsRequest,
) -> tuple[Verdict, list[pb.ApproveHoldRequest | pb.RejectHoldRequest]]:
    """Each vote as if it were cast alone; raises `Unreadable` for none, too many, and one hold twice."""
    if not 1 <= len(request.holds) <= MAX_PAGE:
        raise Unreadable(f"name 1 to {MAX_PAGE} holds", code="holds_required")
    if len({shown.id for shown in request.holds}) < len(request.holds):
        raise Unreadable("a hold stands there twice", code="holds_required")
    if request.verdict not in _VERDICT_OF:
        raise Unreadable("say whether to approve or to reject", code="verdict_required")
    verdict = _VERDICT_OF[request.verdict]
    kind = pb.ApproveHoldRequest if verdict is Verdict.APPROVE else pb.RejectHoldRequest
    reason, key = request.reason, request.idempotency_key
    return verdict, [
        kind(id=shown.id, digest=shown.digest, reason=reason, idempotency_key=key) for shown in request.holds
    ]


def kill_reason(text: str) -> str:
    """Raises `Unreadable` for none, and for one that is too long."""
    if not text.strip() or len(text) > MAX_REASON:
        message = f"give a reason of at most {MAX_REASON} characters: the caller reads it"
        raise Unreadable(message, code="reason_required")
    return text


def order_reason(text: str) -> str:
    """Why something is let go of or kept; raises `Unreadable`."""
    if not text.strip() or len(text) > MAX_REASON:
        raise Unreadable(f"give a reason of at most {MAX_REASON} characters", code="reason_required")
    return text


def reading_reason(text: str) -> str:
    """Why values before masking are read; raises `Unreadable` for none, and for one that is too long."""
    if not text.strip() or len(text) > MAX_REASON:
        message = f"say why values before masking are read, in at most {MAX_REASON} characters"
        raise Unreadable(message, code="reason_required")
    return text


def _review(number: int) -> Review | None:
    if number not in _REVIEW_OF:
        raise Unreadable(f"there is no review state number {number}", code="unknown_state")
    return _REVIEW_OF[number]


def _searched(text: str) -> str:
    if len(text) > MAX_SEARCH:
        raise Unreadable(f"a search has at most {MAX_SEARCH} characters", code="text_unreadable")
    return text


def _seconds(at: Timestamp) -> float:
    # Years 1 to 9999, as JSON can say; what lies outside is as good as the nearest of them.
    return min(max(at.seconds + at.nanos / 1e9, -62_135_596_800.0), 253_402_300_799.0)


def page_size(asked: int) -> int:
    """How many items of a list a page has, for what was asked for."""
    return min(asked, MAX_PAGE) or DEFAULT_PAGE
