"""API keys as rows: each change is committed with its entry, which says whose the key is.

The row has what a key is looked up and ended by. Names lie sealed, with the entries' payloads: the key's
name, owner and groups under a subject of their own, who made and ended it under theirs, so that an erasure
takes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, func, insert, or_, select, update

from authz_service.audit.draft import EntryDraft
from authz_service.audit.entry import ReadEntry, decode
from authz_service.core.api_keys import ApiKey, KeysRead
from authz_service.errors import Conflict, NotFound, Unavailable
from authz_service.store.column_texts import seconds
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import api_keys, entries, sessions
from authz_service.store.transaction import Reader, Transaction
from authz_service.view.caller import API_KEYS

AT_ONCE: Final = 400  # SQLite bounds the parameters of a statement

_Payloads = Mapping[str, Any]


def create(transaction: Transaction, key: ApiKey, entry: EntryDraft) -> ApiKey:
    """Add one whose name nobody had."""
    pseudonym = owner_of(transaction.pseudonym, key.name)
    # Those from before entries told it are known by what their payloads say.
    rows = transaction.read(
        select(api_keys).where(or_(api_keys.c.name == pseudonym, api_keys.c.name == ""))
    ).all()
    for known in read_keys(transaction, [row for row in rows if not row.name]):
        if known.name == key.name:
            raise _taken(key.name, known.id)
    if named := [row.id for row in rows if row.name]:
        raise _taken(key.name, named[0])
    return _add(transaction, key, entry)


def rotate(transaction: Transaction, key: ApiKey, entry: EntryDraft, *, until: float) -> ApiKey:
    """Add one in the place of another, which goes on until `until`."""
    old = _row(transaction, key.replaces or "")
    require_live(old.id, is_revoked=old.revoked_at is not None, is_over=old.expires_at <= transaction.now)
    successor = select(api_keys.c.id).where(api_keys.c.replaces == old.id)
    if (later := transaction.read(successor).scalar()) is not None:
        raise Conflict(f"{old.id} was rotated already: {later} took its place", code="key_rotated")
    made = _add(transaction, key, entry)
    row = transaction.read(select(api_keys.c.seq).where(api_keys.c.id == made.id)).one()
    ends = {"expires_at": min(old.expires_at, _whole(until)), "seq": row.seq}
    transaction.change(update(api_keys).where(api_keys.c.id == old.id).values(ends))
    return made


def revoke(transaction: Transaction, key_id: str, entry: EntryDraft) -> ApiKey:
    """End one now."""
    row = _row(transaction, key_id)
    if row.revoked_at is not None:
        raise Conflict(f"{key_id} is revoked already", code="key_revoked")
    recorded = transaction.record(by_whom(transaction, entry))
    ends = {"revoked_at": transaction.now, "seq": recorded.last, "ended": recorded.last}
    transaction.change(update(api_keys).where(api_keys.c.id == key_id).values(ends))
    (ended,) = read_keys(transaction, [_row(transaction, key_id)])
    return ended


def changed(reader: Reader, after: int) -> KeysRead | None:
    """Those whose last entry came after `after`. Rows are never deleted, so the last number tells all."""
    last = reader.read(select(func.max(api_keys.c.seq))).scalar() or 0
    if last == after:
        return None
    rows = reader.read(select(api_keys).where(api_keys.c.seq > after)).all()
    return KeysRead(last, read_keys(reader, rows))


def every(reader: Reader) -> tuple[ApiKey, ...]:
    """All, newest first, with the time at which the last session with each began."""
    last = select(func.max(sessions.c.started_at)).where(sessions.c.key == api_keys.c.id).scalar_subquery()
    query = select(api_keys, last.label("used_at")).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
    rows = reader.read(query).all()
    used = {row.id: _seconds(row.used_at) for row in rows}
    return tuple(replace(key, used_at=used[key.id]) for key in read_keys(reader, rows))


def read_keys(reader: Reader, rows: Sequence[Row[Any]]) -> tuple[ApiKey, ...]:
    """The keys of these rows, in their order, with what their entries say of them.

    Raises `Unavailable` where entries are damaged: nobody could tell what a key may ask for.
    """
    told: dict[int, tuple[ReadEntry, _Payloads]] = {}
    numbers = sorted({number for row in rows for number in (row.made, row.ended) if number is not None})
    for start in range(0, len(numbers), AT_ONCE):
        told |= _told(reader, numbers[start : start + AT_ONCE])
    try:
        return tuple(_read(row, told) for row in rows)
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged() from error


def require_live(key_id: str, *, is_revoked: bool, is_over: bool) -> None:
    """Raise `Conflict` for a key that counts no longer."""
    if is_revoked or is_over:
        ended = "is revoked" if is_revoked else "has expired"
        raise Conflict(f"{key_id} {ended}; make another key with `authz key create`", code="key_ended")


def owner_of(pseudonym: Callable[[tuple[str, str]], str], name: str) -> str:
    """Under whose key the name, owner and groups of the keys of this name lie: nothing else does."""
    return pseudonym((f"{API_KEYS}:owner", name))


def by_whom(transaction: Transaction, entry: EntryDraft) -> EntryDraft:
    """The entry with the pseudonym of the operator whom its payload names."""
    operator = entry.subjects.get("operator", "")
    name = operator if isinstance(operator, str) else transaction.pseudonym(operator)
    return replace(entry, data={**entry.data, "operator": name})


def _add(transaction: Transaction, key: ApiKey, entry: EntryDraft) -> ApiKey:
    entry, owner = by_whom(transaction, entry), owner_of(transaction.pseudonym, key.name)
    told = replace(entry, data={**entry.data, "subject": owner}, subjects={**entry.subjects, "key": owner})
    recorded = transaction.record(told)
    row = {
        "id": key.id,
        "hash": key.hash,
        "name": owner,
        "created_at": transaction.now,
        "expires_at": _whole(key.expires_at),
        "revoked_at": None,
        "replaces": key.replaces,
        "seq": recorded.last,
        "made": recorded.last,
        "ended": None,
    }
    transaction.change(insert(api_keys).values(row))
    return replace(key, created_at=seconds(transaction.now))


def _whole(time: float) -> int:
    """Whole seconds, as the entry has it: whoever verifies the record derives the row from it."""
    return int(time) * 1_000_000


def _row(transaction: Transaction, key_id: str) -> Row[Any]:
    row = transaction.read(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
    if row is None:
        raise NotFound("there is no such API key", code="key_not_found")
    return row


def _told(reader: Reader, numbers: Sequence[int]) -> dict[int, tuple[ReadEntry, _Payloads]]:
    query = select(entries.c.body).where(entries.c.seq.in_(numbers))
    try:
        found = [decode(bytes(body)) for body in reader.read(query).scalars()]
        opened = read_payloads(reader, {ref.digest for entry in found for ref in entry.payloads.values()})
        return {
            entry.sequence: (
                entry,
                {
                    name: json.loads(opened[ref.digest].body)
                    for name, ref in entry.payloads.items()
                    if ref.digest in opened
                },
            )
            for entry in found
        }
    except ValueError as error:
        raise _damaged() from error


def _read(row: Row[Any], told: Mapping[int, tuple[ReadEntry, _Payloads]]) -> ApiKey:
    entry, payloads = told[row.made]
    # What is not there went with whom it is about.
    nameless = {"name": row.id, "owner": "", "groups": []} if entry.data.get("subject") else {}
    key = payloads.get("key", nameless)
    ended = {} if row.ended is None else told[row.ended][1]
    return ApiKey(
        id=row.id,
        hash=bytes(row.hash),
        name=key["name"],
        owner=key["owner"],
        groups=tuple(key["groups"]),
        scope=tuple(entry.data["scope"]),
        created_at=seconds(row.created_at),
        expires_at=seconds(row.expires_at),
        by=_name(payloads),
        replaces=row.replaces,
        revoked_at=_seconds(row.revoked_at),
        revoked_by=_name(ended),
        reason=str(ended.get("reason", {}).get("reason", "")),
    )


def _name(payloads: _Payloads) -> str:
    operator = payloads.get("operator", {"subject": ""})
    return str(operator.get("person") or operator["subject"])


def _seconds(time: int | None) -> float | None:
    return None if time is None else seconds(time)


def _taken(name: str, key_id: str) -> Conflict:
    message = f"there is, or was, a key named {name} ({key_id}); rotate it, or choose another name"
    return Conflict(message, code="key_name_taken")


def _damaged() -> Unavailable:
    return Unavailable("what the record says of API keys is damaged", code="record_damaged")
