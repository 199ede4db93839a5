"""What a caller is told when a request does not go through: the code, the words, whether to retry."""

from __future__ import annotations

from authz_service.core.commands import Reply
from authz_service.core.holds import Verdict
from authz_service.core.ports import DAMAGED
from authz_service.core.stored_holds import HoldState, HoldSummary
from authz_service.errors import AuthzError, TooMany, Unavailable
from authz_service.framing.prefer import NOTHING_PREFERRED, Prefer
from authz_service.model_apis.base import ApiError
from authz_service.policy.decision import Decision

RETRY_AFTER_SECONDS = 1
"""An open hold is waited for on the connection, so a retry may come at once."""


def refused(error: AuthzError, *, session: str) -> Reply:
    """The reply for an error of ours; only what passes by itself is worth the same request again.

    Not where workers died of it: SDKs would have it tried on each of the others. Nor what is damaged.
    """
    reply = ApiError(error.status, error.code, str(error), session)
    if isinstance(error, TooMany):
        return Reply(reply, {**retry(True), "retry-after": str(RETRY_AFTER_SECONDS)})
    is_passing = error.status == 503 and error.code not in ("poisoned", DAMAGED)
    return Reply(reply, retry(is_passing))


def denied(decision: Decision, *, session: str) -> Reply:
    """A rule said no, or no rule said yes."""
    message = decision.reason or f"This request is not allowed (rule {decision.rule})."
    error = ApiError(403, "request_denied", message, session, {"rule": decision.rule})
    return Reply(error, retry(False))


def pending(hold: HoldSummary, *, session: str, prefer: Prefer = NOTHING_PREFERRED) -> Reply:
    """The wait on the connection is over, the hold is not: the same request again attaches to it.

    Who prefers `respond-async` asks for the state, and sends the request again once that is approved.
    """
    way_on = "once it is approved" if prefer.is_async else "to go on waiting"
    what = "This request" if not hold.is_answer else "The answer to this request"
    message = (
        f"{what} waits for approval (hold {hold.id}, rule {hold.rule}). "
        f"Send the same request again {way_on}; its state is at "
        f"/.well-known/authz/holds/{hold.id}."
    )
    error = ApiError(409, "approval_pending", message, session, {"hold": hold.id, "rule": hold.rule})
    headers = {**retry(not prefer.is_async), "retry-after": str(RETRY_AFTER_SECONDS)}
    if prefer.applied:
        headers["preference-applied"] = prefer.applied
    return Reply(error, headers)


def superseded(hold: HoldSummary, *, session: str) -> Reply:
    """The same person's same request waits again, for other approvals or with other changes."""
    message = (
        f"The same request of yours was sent again and waits for another approval; it took the place of "
        f"this one (hold {hold.id})."
    )
    error = ApiError(409, "hold_superseded", message, session, {"hold": hold.id, "rule": hold.rule})
    return Reply(error, retry(False))


def token_expired(hold: HoldSummary, *, session: str) -> Reply:
    """Approved, but the caller's token ran out while the request was held."""
    message = (
        f"The request was approved (hold {hold.id}), but the token it came with has expired meanwhile. "
        "Send the same request with a fresh token: it uses this approval."
    )
    return Reply(ApiError(409, "token_expired", message, session, {"hold": hold.id}), retry(False))


def not_borne_out(hold: HoldSummary, *, session: str) -> Reply:
    """The hold says that it is approved, and the votes on record do not."""
    message = f"the approval on record (hold {hold.id}) is not borne out by its votes; nothing was released"
    return refused(Unavailable(message, code=DAMAGED), session=session)


def ended(hold: HoldSummary, *, session: str) -> Reply:
    """The hold was rejected or ran out of time."""
    details = {"hold": hold.id, "rule": hold.rule}
    if hold.state is HoldState.REJECTED:
        reason = next((v.reason for v in hold.votes if v.verdict is Verdict.REJECT), "")
        what = "rejected this request" if not hold.is_answer else "withheld the answer to this request"
        message = f"A reviewer {what} (hold {hold.id}): {reason}"
        return Reply(ApiError(403, "request_rejected", message, session, details), retry(False))
    message = f"Nobody approved this request in time (hold {hold.id}); without approval it does not run."
    if hold.is_answer:
        message = f"Nobody approved the answer to this request in time (hold {hold.id})."
    return Reply(ApiError(403, "approval_expired", message, session, details), retry(False))


def answer_given(hold: HoldSummary, *, session: str) -> Reply:
    """The answer that was waited for went to another exchange, or its approval could not be used."""
    message = (
        f"The answer that this request waited for (hold {hold.id}) went to another request of yours, or "
        "could not be released any more. Send the same request again: it is taken as a new one."
    )
    error = ApiError(409, "answer_given", message, session, {"hold": hold.id, "rule": hold.rule})
    return Reply(error, {**retry(True), "retry-after": str(RETRY_AFTER_SECONDS)})


def too_many(limit: int, *, session: str) -> Reply:
    """The caller has as many requests waiting for approval as are allowed."""
    message = f"You have {limit} requests waiting for approval, which is the limit; wait for a decision."
    error = ApiError(429, "too_many_holds", message, session)
    return Reply(error, {**retry(False), "retry-after": "60"})


def answer_denied(decision: Decision, *, session: str) -> ApiError:
    """A rule for answers said no."""
    message = decision.reason or f"The answer is not allowed (rule {decision.rule})."
    return ApiError(403, "answer_denied", message, session, {"rule": decision.rule})


def killed(reason: str, *, session: str) -> Reply:
    """An operator ended the exchange, whatever it was doing; the reason is missing where it is not known."""
    message = f"An operator ended this request: {reason}" if reason else "An operator ended this request."
    return Reply(ApiError(403, "ended_by_operator", message, session), retry(False))


def stopping(*, session: str) -> Reply:
    """The process that has the exchange stops, and cannot wait for its end."""
    message = "The gateway is being restarted and could not wait for the end of this request; send it again."
    headers = {**retry(True), "retry-after": str(RETRY_AFTER_SECONDS)}
    return Reply(ApiError(503, "stopping", message, session), headers)


def retry(wanted: bool) -> dict[str, str]:
    """The header by which the SDKs of OpenAI and Anthropic are told whether to try again."""
    return {"x-should-retry": "true" if wanted else "false"}
