"""A session as an entry of an HTTP archive (HAR 1.2), as a browser's network panel opens it.

Bodies are those that crossed. Headers are those on record: credentials never are.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from authz_api.v1 import sessions_pb2
from authz_cli.hold_json import Object, time_text
from authz_cli.session_story import Story

HEAD = '{"log": {"version": "1.2", "creator": {"name": "authz", "version": "1"}, "pages": [], "entries": ['
TAIL = "]}}"
UNKNOWN = -1
"""What HAR says for a size or a time that is not known."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_HOST = "http://gateway"
"""The record has no host: callers name the gateway as they like."""


def har_entry(session: sessions_pb2.Session, story: Story) -> Object:
    """Times in milliseconds: `wait` until the answer's first piece, `receive` for the rest of it."""
    answer, wait, receive = story.answer or b"", *_times(story)
    body = story.body
    return {
        "startedDateTime": time_text(session.started_at),
        "time": wait + receive,
        "request": _request(session, story, None if body is None else body[1]),
        "response": _response(story, answer),
        "cache": {},
        "timings": {"blocked": UNKNOWN, "dns": UNKNOWN, "connect": UNKNOWN, "ssl": UNKNOWN, "send": 0}
        | {"wait": wait, "receive": receive},
        "comment": f"session {session.id}, {session.status}, {session.decision} by rule {session.rule}",
        "_resourceType": "fetch",  # Chromium's panel takes JSON for a script
        "_session": session.id,
        "_model": session.model,
        "_caller": session.caller.subject,
    }


def _request(session: sessions_pb2.Session, story: Story, body: bytes | None) -> Object:
    received = story.first("request.received")
    headers = json.loads(received.payloads.get("headers", b"{}")) if received is not None else {}
    request = {
        "method": session.method,
        "url": f"{_HOST}{session.path}",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(headers),
        "queryString": [],
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN if body is None else len(body),
    }
    if body is not None:
        kind = headers.get("content-type", "application/json")
        request["postData"] = {"mimeType": kind, "params": [], "text": body.decode(errors="replace")}
    return request


def _response(story: Story, answer: bytes) -> Object:
    started, refused = story.first("answer.started"), story.first("request.refused")
    said = started or refused
    status = int(said.data.get("status", 0)) if said is not None else 0
    headers = started.data.get("headers", {}) if started is not None else {}
    return {
        "status": status,
        "statusText": _PHRASES.get(status, ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _pairs(headers),
        "content": _content(answer, str(headers.get("content-type", "application/json"))),
        "redirectURL": "",
        "headersSize": UNKNOWN,
        "bodySize": len(answer),
    }


def _content(answer: bytes, kind: str) -> Object:
    content: Object = {"size": len(answer), "mimeType": kind}
    try:
        return content | {"text": answer.decode()}
    except UnicodeDecodeError:
        return content | {"text": base64.b64encode(answer).decode(), "encoding": "base64"}


def _pairs(headers: Mapping[str, object]) -> list[Object]:
    return [{"name": name, "value": str(value)} for name, value in headers.items()]


def _times(story: Story) -> tuple[float, float]:
    if not story.events:
        return 0.0, 0.0
    begin, pieces = story.events[0].at, story.pieces
    over = story.last("exchange.ended", "exchange.recovered", "answer.released") or story.events[-1]
    first = pieces[0].at if pieces else over.at
    last = pieces[-1].at if pieces else over.at
    return _milliseconds(first - begin), _milliseconds(last - first)


def _milliseconds(length: timedelta) -> float:
    return round(max(length.total_seconds(), 0.0) * 1000, 3)
