"""Errors as OpenAI says them, which all of its operations and most servers beside it share."""

from __future__ import annotations

import json

from authz_service.model_apis.base import ApiError

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def openai_error(error: ApiError) -> bytes:
    """`{"error": {"message", "type", "param", "code", ...}}`, which SDKs raise with its message."""
    return json.dumps({"error": _members(error)}, separators=(",", ":"), ensure_ascii=False).encode()


def openai_error_event(error: ApiError) -> bytes:
    """A data event with the same object: SDKs raise it in the middle of a stream."""
    return b"data: " + openai_error(error) + b"\n\n"


def _members(error: ApiError) -> dict[str, object]:
    fallback = "server_error" if error.status >= 500 else "invalid_request_error"
    said: dict[str, object] = dict(error.details)
    if error.session is not None:
        said["session"] = error.session
    said |= {
        "message": error.message,
        "type": _TYPES.get(error.status, fallback),
        "param": None,
        "code": error.code,
    }
    return said
