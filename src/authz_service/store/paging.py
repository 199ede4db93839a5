"""Page tokens: where a list goes on, good only for the list and the filters that they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from authz_service.errors import Unreadable

LARGEST_PAGE = 200
_TAG_BYTES = 8
_POSITION_BYTES = 8


def token(filters: Sequence[object], position: int) -> str:
    """An opaque token for the rows below `position` of the list that `filters` describe."""
    raw = _tag(filters) + position.to_bytes(_POSITION_BYTES, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def position(filters: Sequence[object], page_token: str) -> int | None:
    """Where to go on; None for the first page. Raises `Unreadable` for another list's token."""
    if not page_token:
        return None
    try:
        raw = base64.b64decode(page_token + "=" * (-len(page_token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _TAG_BYTES + _POSITION_BYTES or raw[:_TAG_BYTES] != _tag(filters):
        raise Unreadable(
            "the page token is not one of this list; ask for its first page again", code="bad_page_token"
        )
    found = int.from_bytes(raw[_TAG_BYTES:], "big")
    return min(found, 2**63 - 1)


def page_size(asked: int) -> int:
    """Between 1 and 200."""
    return max(1, min(asked, LARGEST_PAGE))


def _tag(filters: Sequence[object]) -> bytes:
    return hashlib.sha256(json.dumps(filters).encode()).digest()[:_TAG_BYTES]
