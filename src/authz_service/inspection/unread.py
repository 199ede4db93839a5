"""Says of a request's bytes alone what in them is no text, for whoever decides about these bytes."""

from __future__ import annotations

import hashlib

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.multipart import boundary_in
from authz_service.inspection.bodies import read_body
from authz_service.model_apis.base import ModelApi, Operation
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
                return _read(adapter, known, body)
    return ()


def _read(api: ModelApi, operation: Operation, body: bytes) -> tuple[Unread, ...]:
    content_type = f"{RequestFormat.FORM}; boundary={boundary_in(body)}"  # JSON needs none
    try:
        read = read_body(body, operation.takes, content_type=content_type, max_depth=_DEPTH)
        return api.read_request(operation, read.document).unread
    except Unreadable:
        digest = hashlib.sha256(body).hexdigest()
        return (Unread(Kind.MALFORMED, (), "the body", len(body), digest),)
