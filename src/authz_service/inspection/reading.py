"""Reads a body again that was read before, by what is on record of it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from authz_service.framing.encoding import RequestFormat
from authz_service.framing.multipart import boundary_in
from authz_service.inspection.bodies import read_body
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.registry import operation_named
from authz_service.view.request import RequestView

_DEPTH: Final = 499
"""Deeper than any configuration lets a body be."""


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A body, by the adapter that reads it: what it says, and the view that rules have of it."""

    api: ModelApi
    operation: Operation
    document: object
    view: RequestView


def read_again(api: str, operation: str, body: bytes) -> ReadAgain | None:
    """What the adapter of that name reads in a body; None where there is no such adapter.

    Raises `Unreadable` for a body that it no longer reads.
    """
    known = operation_named(api, operation)
    if known is None:
        return None
    adapter, of = known
    content_type = f"{RequestFormat.FORM}; boundary={boundary_in(body)}"  # JSON needs none
    read = read_body(body, of.takes, content_type=content_type, max_depth=_DEPTH)
    return ReadAgain(adapter, of, read.document, adapter.read_request(of, read.document))
