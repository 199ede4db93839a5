"""The secrets that webhooks are signed with: `whsec_` and base64 (Standard Webhooks, symmetric)."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence

from authz_service.config.notify_values import Notify, Secret
from authz_service.errors import Misconfigured

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes, as the standard has it
MOST = 4


def read_secrets(secret: Secret) -> Sequence[bytes]:
    """One, or several while they are changed, a line each: receivers take a signature by any of them.

    Raises `Misconfigured`, which repeats nothing of them.
    """
    try:
        text = os.environ.get(secret.variable, "") if secret.file is None else secret.file.read_text()
    except (OSError, UnicodeDecodeError):
        raise Misconfigured(f"the secret of a webhook cannot be read from {secret.place}") from None
    lines = text.split()
    if not 1 <= len(lines) <= MOST:
        raise Misconfigured(
            f"{secret.place} must have a webhook's secret, or up to {MOST} of them, a line each"
        )
    return [_decoded(line, secret.place) for line in lines]


def require_secrets(notify: Notify) -> None:
    """Raise `Misconfigured` for the first webhook that could not be signed for."""
    for webhook in notify.webhooks:
        read_secrets(webhook.secret)


def _decoded(line: str, place: str) -> bytes:
    try:
        found = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not line.startswith(PREFIX) or not SHORTEST <= len(found) <= LONGEST:
        raise Misconfigured(
            f"{place} holds no secret of Standard Webhooks: whsec_ and base64 of"
            f" {SHORTEST} to {LONGEST} bytes;"
            ' make one with: echo "whsec_$(openssl rand -base64 32)"'
        )
    return found
