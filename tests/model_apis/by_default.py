"""Reads a request as the gateway does when no rule permits anything but text."""

from __future__ import annotations

from authz_service.model_apis.base import ModelApi, Operation
from authz_service.view.request import RequestView
from authz_service.view.unread import require_permitted


def read_by_default(api: ModelApi, operation: Operation, document: object) -> RequestView:
    """The view; raises `Unreadable` for the first value that is no text."""
    view = api.read_request(operation, document)
    require_permitted(view.unread, ())
    return view
