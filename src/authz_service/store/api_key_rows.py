"""API keys as rows: each change is committed with its entry, which says whose the key is.

The row has what a key is looked up and ended by. Names lie sealed, with the entries' payloads: the key's
name, owner and groups under a subject of their own, who made and ended it under theirs, so that an erasure
takes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, func, insert, or_, select, update

from authz_service.audit.draft import EntryDraft
from authz_service.core.api_keys import ApiKey, KeysRead
from authz_service.errors import Conflict, NotFound
from authz_service.store.api_keys_read import name_damaged, read_keys, time_or_none
from authz_service.store.column_texts import seconds
from authz_service.store.schema import api_keys, head, sessions
from authz_service.store.transaction import Reader, Transaction
from authz_service.view.caller import API_KEYS


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
    # No row can have changed by an entry that there is not: such a number would hide what comes after.
    size = select(head.c.size).where(head.c.id == 1).scalar_subquery()
    last = reader.read(select(func.max(api_keys.c.seq)).where(api_keys.c.seq <= size)).scalar() or 0
    if last == after:
        return None
    rows = reader.read(select(api_keys).where(api_keys.c.seq > after)).all()
    keys = read_keys(reader, rows)
    name_damaged(keys)
    return KeysRead(last, keys)


def every(reader: Reader) -> tuple[ApiKey, ...]:
    """All, newest first, with the time at which the last session with each began."""
    last = select(func.max(sessions.c.started_at)).where(sessions.c.key == api_keys.c.id).scalar_subquery()
    query = select(api_keys, last.label("used_at")).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
    rows = reader.read(query).all()
    keys = read_keys(reader, rows)
    return tuple(replace(key, used_at=time_or_none(row.used_at)) for key, row in zip(keys, rows, strict=True))


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


def _taken(name: str, key_id: str) -> Conflict:
    message = f"there is, or was, a key named {name} ({key_id}); rotate it, or choose another name"
    return Conflict(message, code="key_name_taken")
