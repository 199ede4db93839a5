"""What callers are told of their limits: the refusal, and the headers as OpenAI and Anthropic name them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from authz_service.core.commands import Reply
from authz_service.core.limits import DAY, MINUTE, Admitted, Allowance, CountedBy, LimitReached
from authz_service.core.replies import retry
from authz_service.model_apis.base import ApiError

LONGEST_RETRY: Final = 60.0
"""Seconds for which the SDKs wait before they send a request again; later it is the caller's to do."""

_WHAT: Final = {
    "requests_per_minute": "{limit} requests in a minute",
    "tokens_per_minute": "{limit} tokens in a minute",
    "tokens_per_day": "{limit} tokens in a day",
    "concurrent": "{limit} requests at once",
    "recorded_bytes_per_day": "{limit} recorded bytes in a day",
    "open_holds": "{limit} requests that wait for approval",
}
_WHOSE: Final = {
    CountedBy.CALLER: "one caller may have",
    CountedBy.GROUP: "the members of your group may have together",
    CountedBy.KEY: "this API key may have",
    CountedBy.MODEL: "all callers of this model may have together",
}


def limit_reached(reached: LimitReached, *, api: str, session: str) -> Reply:
    """429 in the words of the limit, with when there is room again."""
    most = f"{_WHAT[reached.what].format(limit=reached.limit)} is the most that {_WHOSE[reached.by]}"
    if reached.models:
        most += f" of {', '.join(reached.models)}"
    details = {"limit": reached.what, "limit_of": reached.by.value}
    headers = _of_refusal(reached, api)
    if reached.again is None:
        message = f"{most}, and this request alone asks for more; ask for a shorter answer, or say less."
        error = ApiError(429, "request_above_limit", message, session, details)
        return Reply(error, {**headers, **retry(False)})
    seconds = max(1, math.ceil(reached.again))
    message = f"{most}; there is room again in {seconds} s."
    error = ApiError(429, "rate_limit_exceeded", message, session, details)
    return Reply(error, {**headers, **retry(seconds <= LONGEST_RETRY), "retry-after": str(seconds)})


def room(admitted: Admitted, *, api: str) -> Mapping[str, str]:
    """The headers of an answer: the tightest limits of requests and of tokens."""
    both = (("requests", admitted.requests), ("tokens", admitted.tokens))
    found: dict[str, str] = {}
    for what, allowance in both:
        if allowance is not None:
            found |= _headers(what, allowance, api, admitted.now)
    return found


def _of_refusal(reached: LimitReached, api: str) -> dict[str, str]:
    what, _, window = reached.what.partition("_per_")
    if what not in ("requests", "tokens"):
        return {}  # exchanges at once and recorded bytes have no headers of these names
    again = {"minute": MINUTE, "day": DAY}[window] if reached.again is None else reached.again
    return _headers(what, Allowance(reached.limit, reached.left, again), api, reached.now)


def _headers(what: str, allowance: Allowance, api: str, now: float) -> dict[str, str]:
    limit, left = str(allowance.limit), str(max(0, allowance.left))
    if api == "anthropic":
        at = datetime.fromtimestamp(math.ceil(now + allowance.reset), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        prefix = f"anthropic-ratelimit-{what}"
        return {f"{prefix}-limit": limit, f"{prefix}-remaining": left, f"{prefix}-reset": at}
    return {
        f"x-ratelimit-limit-{what}": limit,
        f"x-ratelimit-remaining-{what}": left,
        f"x-ratelimit-reset-{what}": _duration(allowance.reset),
    }


def _duration(seconds: float) -> str:
    """As OpenAI says it: 1s, 6m0s, 23h59m59s."""
    whole = max(0, math.ceil(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
