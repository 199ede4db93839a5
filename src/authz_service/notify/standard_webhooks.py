"""Standard Webhooks 1.0: the body, and the headers by which a receiver knows that it is ours and new."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import orjson

from authz_service.notify.channel import Notice


def body_of(notice: Notice) -> bytes:
    """The same bytes whenever the same notice is sent."""
    data = {
        "hold": notice.hold,
        "rule": notice.rule,
        "caller": notice.caller,
        "model": notice.model,
        "deadline": None if notice.deadline is None else _moment(notice.deadline),
        "link": notice.link or None,
    }
    if notice.grant:
        data["grant"] = notice.grant
    return orjson.dumps({"type": notice.type, "timestamp": _moment(notice.at), "data": data})


def headers_of(notice: Notice, body: bytes, secrets: Sequence[bytes], *, now: float) -> Mapping[str, str]:
    """`now` is the time of this attempt: receivers refuse old ones."""
    timestamp = str(int(now))
    signed = b".".join((notice.id.encode(), timestamp.encode(), body))
    return {
        "content-type": "application/json",
        "user-agent": "authz-service",
        "webhook-id": notice.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{_signature(secret, signed)}" for secret in secrets),
    }


def _signature(secret: bytes, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
