"""Errors as Anthropic says them."""

from __future__ import annotations

import json

from authz_service.model_apis.base import ApiError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def anthropic_error(error: ApiError) -> bytes:
    """`{"type": "error", "error": {"type", "message", "code", ...}, "request_id"}`."""
    fallback = "api_error" if error.status >= 500 else "invalid_request_error"
    said: dict[str, object] = dict(error.details)
    said |= {"type": _TYPES.get(error.status, fallback), "message": error.message, "code": error.code}
    body: dict[str, object] = {"type": "error", "error": said}
    if error.session is not None:
        body["request_id"] = error.session
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def anthropic_error_event(error: ApiError) -> bytes:
    """An event named `error` with the same object: SDKs raise it in the middle of a stream."""
    return b"event: error\ndata: " + anthropic_error(error) + b"\n\n"
