"""The query columns of a session, derived from its entries and from nothing else.

What the columns show is thus on record, and whoever verifies the record can derive them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from authz_service.audit.draft import EntryDraft, Kind

Value = str | int | None

LONGEST_TEXT = 256  # a database index has a limit; the entry keeps the whole

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
}


@dataclass(frozen=True, slots=True)
class Change:
    """What an entry does to its session's columns: `put` them, `fill` those that are still empty.

    `begins` is true for the entry that a session begins with. Times are microseconds.
    """

    put: Mapping[str, Value] = field(default_factory=dict)
    fill: Mapping[str, Value] = field(default_factory=dict)
    begins: bool = False


def change(draft: EntryDraft, *, at: int) -> Change | None:
    """What the entry made from `draft` does to the columns; None when it does nothing to them."""
    data = draft.data
    match draft.kind:
        case Kind.REQUEST_RECEIVED:
            return Change(_received(draft, at), begins=True)
        case Kind.REQUEST_DECIDED:
            names = {"decision": "effect", "rule": "rule", "model": "model"}
            return Change({column: clean(data[name]) for column, name in names.items() if name in data})
        case Kind.HOLD_OPENED | Kind.HOLD_ATTACHED:
            return Change({"hold": clean(data["hold"]), "status": "held"})
        case Kind.REQUEST_RELEASED:
            return Change({"status": "released"})
        case Kind.REQUEST_REFUSED:
            return Change({"status": "refused"}, {"decision": "deny", "rule": clean(data.get("code", ""))})
        case Kind.EXCHANGE_ENDED:
            return Change(_ended(data, at))
        case Kind.EXCHANGE_RECOVERED:
            return Change({"status": "interrupted", "ended_at": at})
        case _:
            return None


def applied(columns: Mapping[str, Value], change: Change) -> dict[str, Value]:
    """The columns after `change`; of a session that `change` begins, `columns` is NEW_SESSION."""
    filled = {name: value for name, value in change.fill.items() if columns.get(name) in (None, "")}
    return {**columns, **filled, **change.put}


def merged(first: Change, second: Change) -> Change:
    """One change that does what `first` and then `second` do."""
    settled = {name for name, value in first.put.items() if value not in (None, "")}
    late = {name: value for name, value in second.fill.items() if name not in settled}
    put = {**first.put, **second.put}
    for name in late.keys() & first.put.keys():
        if name not in second.put:
            put[name] = late[name]
    fill = {**first.fill, **{n: v for n, v in late.items() if first.fill.get(n) in (None, "")}}
    return Change(put, {n: v for n, v in fill.items() if n not in put}, first.begins)


def clean(value: object) -> str:
    """A value as a column can hold it: at most 256 characters, no NUL, no lone surrogate.

    PostgreSQL refuses the latter two, and a caller's model or path may have them.
    """
    return str(value)[:LONGEST_TEXT].replace("\x00", "\ufffd").encode(errors="replace").decode()


def _received(draft: EntryDraft, at: int) -> dict[str, Value]:
    columns: dict[str, Value] = {
        name: clean(draft.data.get(name, "")) for name in ("api", "method", "path", "caller")
    }
    columns |= {"status": "open", "started_at": at}
    detail = draft.payloads.get("caller")
    if detail is not None:
        caller = orjson.loads(detail)
        columns["caller_detail"] = detail.decode()
        columns["subject"] = clean(caller["subject"])
        columns["person"] = clean(caller.get("person") or "")
    return columns


def _ended(data: Mapping[str, Any], at: int) -> dict[str, Value]:
    columns: dict[str, Value] = {"status": clean(data["outcome"]), "ended_at": at}
    for name in ("prompt_tokens", "completion_tokens"):
        if data.get(name) is not None:
            columns[name] = int(data[name])
    return columns
