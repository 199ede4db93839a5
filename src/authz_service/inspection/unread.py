"""Says of a request's bytes alone what in them is no text, for whoever decides about these bytes."""

from __future__ import annotations

import hashlib

from authz_service.errors import Unreadable
from authz_service.framing.json_document import read_json
from authz_service.model_apis.registry import ADAPTERS
from authz_service.view.unread import Kind, Unread

_DEPTH = 499
"""Deeper than any configuration lets a body be."""


def unread_in(api: str, operation: str, body: bytes) -> tuple[Unread, ...]:
    """What the adapter of that name leaves unread in a body that it has read before.

    A body that it no longer reads is itself what is unread; one of no adapter has nothing to tell.
    """
    for adapter in ADAPTERS:
        for known in adapter.operations:
            if (adapter.name, known.name) == (api, operation):
                try:
                    return adapter.read_request(known, read_json(body, max_depth=_DEPTH)).unread
                except Unreadable:
                    return (
                        Unread(Kind.MALFORMED, (), "the body", len(body), hashlib.sha256(body).hexdigest()),
                    )
    return ()
