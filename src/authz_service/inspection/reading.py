"""Reads a body again that was read before, by what is on record of it alone."""

from __future__ import annotations

from typing import Final

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.multipart import boundary_in
from authz_service.inspection.bodies import read_body
from authz_service.model_apis.registry import operation_named
from authz_service.view.request import RequestView

_DEPTH: Final = 499
"""Deeper than any configuration lets a body be."""


def view_again(api: str, operation: str, body: bytes) -> RequestView | None:
    """What the adapter of that name reads in a body; None where there is no such adapter.

    Raises `Unreadable` for a body that it no longer reads.
    """
    known = operation_named(api, operation)
    if known is None:
        return None
    adapter, of = known
    content_type = f"{RequestFormat.FORM}; boundary={boundary_in(body)}"  # JSON needs none
    read = read_body(body, of.takes, content_type=content_type, max_depth=_DEPTH)
    return adapter.read_request(of, read.document)


def view_if_readable(api: str, operation: str, body: bytes) -> RequestView | None:
    """The same; None also for a body that the adapter no longer reads."""
    try:
        return view_again(api, operation, body)
    except Unreadable:
        return None
