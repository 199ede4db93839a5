"""Errors as the Open Inference Protocol says them."""

from __future__ import annotations

import json

from authz_service.model_apis.base import ApiError


def inference_error(error: ApiError) -> bytes:
    """`{"error": message, "code", ...}`."""
    said: dict[str, object] = dict(error.details)
    if error.session is not None:
        said["session"] = error.session
    said |= {"error": error.message, "code": error.code}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()


def inference_error_event(error: ApiError) -> bytes:
    """A data event with the same object."""
    return b"data: " + inference_error(error) + b"\n\n"
