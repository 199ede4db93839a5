"""How the dialects frame what somebody says in the place of a model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from authz_service.model_apis.base import OwnAnswer


def whole(document: Mapping[str, object]) -> OwnAnswer:
    """A JSON body."""
    return OwnAnswer("application/json", _json(document))


def events(documents: Iterable[Mapping[str, object]], *, end: str = "", named: bool = False) -> OwnAnswer:
    """A stream of server-sent events; `named` after their types, and `end` is the data of the last one."""
    pieces = []
    for document in documents:
        name = f"event: {document['type']}\n" if named else ""
        pieces.append(f"{name}data: ".encode() + _json(document) + b"\n\n")
    if end:
        pieces.append(f"data: {end}\n\n".encode())
    return OwnAnswer("text/event-stream; charset=utf-8", b"".join(pieces))


def lines(documents: Iterable[Mapping[str, object]]) -> OwnAnswer:
    """A line of JSON for each."""
    return OwnAnswer("application/x-ndjson", b"".join(_json(document) + b"\n" for document in documents))


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
