"""The query columns of a session, derived from its entries and from nothing else.

What the columns show is thus on record, and whoever verifies the record can derive them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from authz_service.audit.draft import Kind

Value = str | int | None

LONGEST_TEXT = 256  # a database index has a limit; the entry keeps the whole

KILLING = "killing"
"""The status of a session that is to end, since an operator said so."""

NEW_SESSION: Mapping[str, Value] = {
    "caller": "",
    "caller_detail": None,
    "subject": "",
    "person": "",
    "api": "",
    "method": "",
    "path": "",
    "model": "",
    "decision": "",
    "rule": "",
    "hold": None,
    "status": "open",
    "started_at": 0,
    "ended_at": None,
    "prompt_tokens": None,
    "completion_tokens": None,
    "key": None,
    "tokens": None,
    "bytes": None,
    "repeated": None,
}


@dataclass(frozen=True, slots=True)
class Change:
    """What an entry does to its session's columns: `put` them, `fill` those that are still empty.

    `moves_to` is the status that it goes to, never `KILLING`, unless that is what it has: an operator's order
    outlasts whatever its exchange was about to do. Neither `put` nor `fill` has a status beside it.
    `begins` is true for the entry that a session begins with. Times are microseconds.
    """

    put: Mapping[str, Value] = field(default_factory=dict)
    fill: Mapping[str, Value] = field(default_factory=dict)
    begins: bool = False
    moves_to: str = ""


class Drafted(Protocol):
    """What of an entry's draft columns are derived from; whoever verifies has no draft."""

    @property
    def kind(self) -> Kind: ...

    @property
    def data(self) -> Mapping[str, Any]: ...

    @property
    def payloads(self) -> Mapping[str, bytes]: ...


def change(draft: Drafted, *, at: int) -> Change | None:
    """What the entry made from `draft` does to the columns; None when it does nothing to them."""
    of_kind = _CHANGES.get(draft.kind)
    return None if of_kind is None else of_kind(draft, at)


def applied(columns: Mapping[str, Value], change: Change) -> dict[str, Value]:
    """The columns after `change`; of a session that `change` begins, `columns` is NEW_SESSION."""
    put = change.put
    if change.moves_to and columns.get("status") != KILLING:
        put = {**put, "status": change.moves_to}
    if not change.fill:
        return {**columns, **put}
    filled = {name: value for name, value in change.fill.items() if columns.get(name) in (None, "")}
    return {**columns, **filled, **put}


def merged(first: Change, second: Change) -> Change:
    """One change that does what `first` and then `second` do."""
    settled = {name for name, value in first.put.items() if value not in (None, "")}
    late = {name: value for name, value in second.fill.items() if name not in settled}
    put = {**first.put, **second.put}
    for name in late.keys() & first.put.keys():
        if name not in second.put:
            put[name] = late[name]
    fill = {**first.fill, **{n: v for n, v in late.items() if first.fill.get(n) in (None, "")}}
    moves_to = second.moves_to or first.moves_to
    if moves_to and "status" in put:
        if second.moves_to and put["status"] != KILLING:
            put["status"] = second.moves_to
        moves_to = ""
    return Change(put, {n: v for n, v in fill.items() if n not in put}, first.begins, moves_to)


def clean(value: object) -> str:
    """A value as a column can hold it: at most 256 characters, no NUL, no lone surrogate.

    PostgreSQL refuses the latter two, and a caller's model or path may have them.
    """
    text = value if type(value) is str else str(value)
    if len(text) <= LONGEST_TEXT and text.isprintable():  # most are, and neither of the two is
        return text
    return text[:LONGEST_TEXT].replace("\x00", "\ufffd").encode(errors="replace").decode()


def _received(draft: Drafted, at: int) -> Change:
    data = draft.data
    columns: dict[str, Value] = {
        "api": clean(data.get("api", "")),
        "method": clean(data.get("method", "")),
        "path": clean(data.get("path", "")),
        "caller": clean(data.get("caller", "")),
        "status": "open",
        "started_at": at,
    }
    if "key" in data:
        columns["key"] = clean(data["key"])
    if "tokens" in data:
        columns["model"], columns["tokens"] = clean(data["model"]), int(str(data["tokens"]))
    if "bytes" in data:
        columns["bytes"] = int(str(data["bytes"]))
    detail = draft.payloads.get("caller")
    if detail is not None:
        caller = orjson.loads(detail)
        columns["caller_detail"] = detail.decode()
        columns["subject"] = clean(caller["subject"])
        columns["person"] = clean(caller.get("person") or "")
    return Change(columns, begins=True)


def _decided(draft: Drafted, _at: int) -> Change:
    data = draft.data
    names = (("decision", "effect"), ("rule", "rule"), ("model", "model"))
    columns: dict[str, Value] = {column: clean(data[name]) for column, name in names if name in data}
    # An exchange that was recovered goes on when Envoy brings its stream to the process after.
    columns["ended_at"] = None
    return Change(columns)


def _held(draft: Drafted, _at: int) -> Change:
    return Change({"hold": clean(draft.data["hold"]), "status": "held"})


def _released(_draft: Drafted, _at: int) -> Change:
    return _RELEASED


def _refused(draft: Drafted, _at: int) -> Change:
    return Change({"status": "refused"}, {"decision": "deny", "rule": clean(draft.data.get("code", ""))})


def _refused_again(draft: Drafted, _at: int) -> Change:
    return Change({"repeated": int(str(draft.data["count"]))})


def _ended(draft: Drafted, at: int) -> Change:
    data: Mapping[str, Any] = draft.data
    columns: dict[str, Value] = {"status": clean(data["outcome"]), "ended_at": at}
    for name in ("prompt_tokens", "completion_tokens"):
        if data.get(name) is not None:
            columns[name] = int(data[name])
    if "bytes" in data:
        columns["bytes"] = int(data["bytes"])
    if "tokens" in data:
        columns["tokens"] = int(data["tokens"])
    elif "prompt_tokens" in columns or "completion_tokens" in columns:
        columns["tokens"] = int(data.get("prompt_tokens") or 0) + int(data.get("completion_tokens") or 0)
    return Change(columns)


def _killed(_draft: Drafted, _at: int) -> Change:
    return _KILLING


def _recovered(_draft: Drafted, at: int) -> Change:
    return Change({"status": "interrupted", "ended_at": at})


def _resumed(draft: Drafted, _at: int) -> Change:
    """Another process has it now, and it is as it was before its end was recorded."""
    return Change({"instance": clean(draft.data["instance"]), "status": "open", "ended_at": None})


_RELEASED = Change(moves_to="released")
_KILLING = Change({"status": KILLING})

_CHANGES: Mapping[Kind, Callable[[Drafted, int], Change]] = {
    Kind.REQUEST_RECEIVED: _received,
    Kind.REQUEST_DECIDED: _decided,
    Kind.HOLD_OPENED: _held,
    Kind.HOLD_ATTACHED: _held,
    Kind.REQUEST_RELEASED: _released,
    Kind.REQUEST_REFUSED: _refused,
    Kind.REQUEST_REFUSED_AGAIN: _refused_again,
    Kind.SESSION_KILLED: _killed,
    Kind.EXCHANGE_ENDED: _ended,
    Kind.EXCHANGE_RECOVERED: _recovered,
    Kind.EXCHANGE_RESUMED: _resumed,
}
