"""Errors as Text Generation Inference says them."""

from __future__ import annotations

import json

from authz_service.model_apis.base import ApiError


def tgi_error(error: ApiError) -> bytes:
    """`{"error": message, "error_type": code, ...}`; its client raises by the type."""
    said: dict[str, object] = dict(error.details)
    if error.session is not None:
        said["session"] = error.session
    said |= {"error": error.message, "error_type": error.code}
    return json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()


def tgi_error_event(error: ApiError) -> bytes:
    """A data event with the same object."""
    return b"data:" + tgi_error(error) + b"\n\n"
