"""What makes two refusals of a verified caller equal, so that a loop of them is counted."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from authz_service.core.limits import LimitReached
from authz_service.core.request import Request
from authz_service.errors import AuthzError
from authz_service.view.caller import API_KEYS

_COUNTED = frozenset({"out_of_scope"})
"""Codes of errors, beside those of limits, that say nothing of a body but the model that it asks for."""


class Refusal(NamedTuple):
    """Who was refused what. `caller` is a pseudonym, `key` an API key's id, `limit` the one reached.

    `way` is a digest of method and path, where these may be why; limits do not ask for them.
    """

    caller: str
    key: str
    api: str
    model: str
    code: str
    limit: str
    way: str = ""


def by_limit(request: Request, reached: LimitReached, model: str) -> Refusal:
    """A limit's."""
    limit = f"{reached.by.value}.{reached.what}"
    return _refusal(
        request, model, "rate_limit_exceeded" if reached.again is not None else "request_above_limit", limit
    )


def by_error(request: Request, error: AuthzError, model: str = "") -> Refusal | None:
    """An error's; None where each is recorded. `model` is the one that was asked for, where that is known."""
    if error.code not in _COUNTED:
        return None
    way = sha256(f"{request.method} {request.path}".encode()).hexdigest()  # paths may be long
    return _refusal(request, model, error.code, "")._replace(way=way)


def _refusal(request: Request, model: str, code: str, limit: str) -> Refusal:
    caller = request.caller
    key = str(caller.claims["key"]) if caller.issuer == API_KEYS else ""
    return Refusal(request.pseudonym, key, request.api, model, code, limit)
