"""The bodies of a session as they were before masking, in the places of those that crossed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from authz_api.v1 import sessions_pb2
from authz_cli.safe_text import safe_line
from authz_cli.session_json import ANSWER_RELEASED, entry_data

ORIGINAL = "original"
_REQUESTS = {"request.released": "body", "hold.opened": "forward", "request.decided": "body"}
_ANSWERS = ("answer.decided", "answer.refused", ANSWER_RELEASED)
NOT_KEPT = "values before masking were not kept when this ran: bodies are shown as they crossed"


def shown_before_masking(entries: Sequence[sessions_pb2.Entry]) -> list[sessions_pb2.Entry]:
    """The same as `before_masking`; what is not there is said on the standard error."""
    note = why_not(entries)
    if note is not None:
        click.echo(safe_line(note), err=True)
    return before_masking(entries)


def before_masking(entries: Sequence[sessions_pb2.Entry]) -> list[sessions_pb2.Entry]:
    """The entries with the request as it came and the answer as the model sent it.

    Where nothing was masked, what crossed is that. Of an answer that was refused there is an entry
    `answer.released` with what came of it.
    """
    request = next((b for e in entries if e.kind == "request.received" for b in _original(e)), None)
    return list(_answered(_asked(entry, request) for entry in entries))


def why_not(entries: Sequence[sessions_pb2.Entry]) -> str | None:
    """Why there is nothing, or not all, from before masking; None where there is."""
    received = next((entry for entry in entries if entry.kind == "request.received"), None)
    if received is not None and not entry_data(received).get("originals"):
        return NOT_KEPT
    gone = [missing.why for entry in entries for missing in entry.missing if missing.name == ORIGINAL]
    return f"not all of it is there from before masking: {gone[0]}" if gone else None


def _asked(entry: sessions_pb2.Entry, request: bytes | None) -> sessions_pb2.Entry:
    name = _REQUESTS.get(entry.kind)
    is_there = any(payload.name == name for payload in entry.payloads)
    return _with(entry, name, request) if name and is_there and request is not None else entry


def _answered(entries: Iterable[sessions_pb2.Entry]) -> Iterator[sessions_pb2.Entry]:
    """Of an answer that was held, the whole is with the decision, and what was released is a part of it."""
    whole: bytes | None = None
    for entry in entries:
        original = next(_original(entry), None) if entry.kind in _ANSWERS else None
        if entry.kind == ANSWER_RELEASED:
            sent = whole if original is None else original
            yield entry if sent is None else _with(entry, "body", sent)
            whole = None
            continue
        yield entry
        if entry.kind == "answer.decided" and original is not None:
            whole = original
        elif entry.kind == "answer.refused" and (sent := original if whole is None else whole):
            shown = sessions_pb2.Entry(kind=ANSWER_RELEASED, at=entry.at, data='{"refused": true}')
            yield _with(shown, "body", sent)


def _original(entry: sessions_pb2.Entry) -> Iterator[bytes]:
    return (payload.body for payload in entry.payloads if payload.name == ORIGINAL)


def _with(entry: sessions_pb2.Entry, name: str, body: bytes) -> sessions_pb2.Entry:
    """A copy with this payload, in the place of the one of that name."""
    changed = sessions_pb2.Entry()
    changed.CopyFrom(entry)
    others = [payload for payload in changed.payloads if payload.name not in (name, ORIGINAL)]
    del changed.payloads[:]
    changed.payloads.extend([*others, sessions_pb2.Payload(name=name, body=body)])
    return changed
