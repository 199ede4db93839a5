"""Says of a request's bytes alone what in them is no text, for whoever decides about these bytes."""

from __future__ import annotations

import hashlib

from authz_service.errors import Unreadable
from authz_service.inspection.reading import view_again
from authz_service.view.unread import Kind, Unread


def unread_in(api: str, operation: str, body: bytes) -> tuple[Unread, ...]:
    """What the adapter of that name leaves unread in a body that it has read before.

    A body that it no longer reads is itself what is unread; one of no adapter has nothing to tell.
    """
    try:
        view = view_again(api, operation, body)
    except Unreadable:
        digest = hashlib.sha256(body).hexdigest()
        return (Unread(Kind.MALFORMED, (), "the body", len(body), digest),)
    return () if view is None else view.unread
