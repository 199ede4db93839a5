"""What Check verified about a request before its body was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from authz_service.framing.prefer import NOTHING_PREFERRED, Prefer
from authz_service.values import value
from authz_service.view.caller import Caller


@value
class Request:
    """One request by a verified caller. `session` names the exchange; `path` has no query.

    `api` is the name of the model API that owns the path, "" where none does. `pseudonym` stands for
    the caller in entries. `headers` are those that may go on to the model;
    `prefer` is what the caller says about waiting, `source` the address that the request came from.
    """

    session: str
    caller: Caller
    pseudonym: str
    method: str
    path: str
    api: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    prefer: Prefer = NOTHING_PREFERRED
    source: str = ""
