"""Sessions as JSON, for scripts, with the bodies as they crossed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from authz_api.v1 import sessions_pb2
from authz_cli.hold_json import Object, body_member, caller_object, time_text

REQUEST_FORWARDED = "request.released"
ANSWER_RELEASED = "answer.released"


def session_object(session: sessions_pb2.Session) -> Object:
    """A session's columns; null where nothing is known."""
    has_tokens = session.HasField("prompt_tokens"), session.HasField("completion_tokens")
    return {
        "id": session.id,
        "caller": caller_object(session.caller) if session.HasField("caller") else None,
        "model": session.model,
        "decision": session.decision,
        "rule": session.rule,
        "started_at": time_text(session.started_at),
        "status": session.status,
        "ended_at": time_text(session.ended_at) if session.HasField("ended_at") else None,
        "hold": session.hold or None,
        "api": session.api,
        "method": session.method,
        "path": session.path,
        "prompt_tokens": session.prompt_tokens if has_tokens[0] else None,
        "completion_tokens": session.completion_tokens if has_tokens[1] else None,
    }


def session_with_bodies(
    session: sessions_pb2.Session,
    entries: Sequence[sessions_pb2.Entry],
    *,
    bodies: Sequence[sessions_pb2.Entry] | None = None,
) -> Object:
    """`request` is the body as it went to the model, `answer` what went to the caller; null if none did.

    They are those of `bodies`, where others than the entries have them.
    """
    shown = entries if bodies is None else bodies
    return (
        session_object(session)
        | {"events": [entry_object(entry) for entry in entries]}
        | _body("request", body_of(shown, REQUEST_FORWARDED))
        | _body("answer", body_of(shown, ANSWER_RELEASED))
    )


def body_of(entries: Sequence[sessions_pb2.Entry], kind: str) -> bytes | None:
    """The bodies of all entries of a kind, joined in the order of the record; None when there is none."""
    bodies = [
        payload.body
        for entry in entries
        if entry.kind == kind
        for payload in entry.payloads
        if payload.name == "body"
    ]
    return b"".join(bodies) if bodies else None


def entry_data(entry: sessions_pb2.Entry) -> Object:
    """The data of an entry."""
    data = json.loads(entry.data or "{}")
    return data if isinstance(data, dict) else {}


def entry_object(entry: sessions_pb2.Entry) -> Object:
    """One entry with its payloads."""
    return {
        "kind": entry.kind,
        "at": time_text(entry.at),
        "sequence": entry.sequence,
        "data": entry_data(entry),
        "payloads": [{"name": p.name} | body_member("body", p.body) for p in entry.payloads],
        "missing": [{"name": p.name, "why": p.why} for p in entry.missing],
    }


def _body(name: str, body: bytes | None) -> Object:
    return {name: None} if body is None else body_member(name, body)
