"""API keys as rows: each change is committed with its entry."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from authz_service.audit.draft import EntryDraft
from authz_service.core.api_keys import ApiKey, KeysRead
from authz_service.errors import Conflict, NotFound
from authz_service.store.hold_rows import seconds
from authz_service.store.schema import api_keys, sessions
from authz_service.store.transaction import Reader, Transaction
from authz_service.view.caller import API_KEYS

NAMELESS: Mapping[str, Any] = {"owner": "", "groups": []}
"""What is left of `detail` of a key whose owner was erased, besides its id as name."""


def create(transaction: Transaction, key: ApiKey, entry: EntryDraft) -> ApiKey:
    """Add one whose name nobody had."""
    known = transaction.read(select(api_keys.c.id).where(api_keys.c.name == key.name).limit(1)).scalar()
    if known is not None:
        message = f"there is, or was, a key named {key.name} ({known}); rotate it, or choose another name"
        raise Conflict(message, code="key_name_taken")
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


def revoke(transaction: Transaction, key_id: str, entry: EntryDraft, *, by: str, reason: str) -> ApiKey:
    """End one now."""
    row = _row(transaction, key_id)
    if row.revoked_at is not None:
        raise Conflict(f"{key_id} is revoked already", code="key_revoked")
    entry = by_whom(transaction, entry)
    recorded = transaction.record(entry)
    detail = {
        **json.loads(row.detail),
        "revoked_by": by,
        "reason": reason,
        "ended_by": entry.data["operator"],
    }
    ends = {"revoked_at": transaction.now, "seq": recorded.last, "detail": json.dumps(detail)}
    transaction.change(update(api_keys).where(api_keys.c.id == key_id).values(ends))
    return _read(_row(transaction, key_id))


def changed(reader: Reader, after: int) -> KeysRead | None:
    """Those whose last entry came after `after`. Rows are never deleted, so the last number tells all."""
    last = reader.read(select(func.max(api_keys.c.seq))).scalar() or 0
    if last == after:
        return None
    rows = reader.read(select(api_keys).where(api_keys.c.seq > after)).all()
    return KeysRead(last, tuple(map(_read, rows)))


def every(reader: Reader) -> tuple[ApiKey, ...]:
    """All, newest first, with the time at which the last session with each began."""
    last = select(func.max(sessions.c.started_at)).where(sessions.c.key == api_keys.c.id).scalar_subquery()
    query = select(api_keys, last.label("used_at")).order_by(api_keys.c.created_at.desc(), api_keys.c.id)
    return tuple(replace(_read(row), used_at=_seconds(row.used_at)) for row in reader.read(query))


def require_live(key_id: str, *, is_revoked: bool, is_over: bool) -> None:
    """Raise `Conflict` for a key that counts no longer."""
    if is_revoked or is_over:
        ended = "is revoked" if is_revoked else "has expired"
        raise Conflict(f"{key_id} {ended}; make another key with `authz key create`", code="key_ended")


def detail_of(
    *, owner: str, groups: Sequence[str], scope: Sequence[str], by: str, made_by: str | None
) -> dict[str, Any]:
    """What the column `detail` has of a key, as JSON; `made_by` is who `by` names, as a pseudonym.

    None for those from before entries told that: nobody's erasure takes their names.
    """
    detail = {"owner": owner, "groups": list(groups), "scope": list(scope), "by": by}
    return detail if made_by is None else detail | {"made_by": made_by}


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
    detail = detail_of(
        owner=key.owner,
        groups=key.groups,
        scope=key.scope,
        by=key.by,
        made_by=str(told.data["operator"]),
    )
    row = {
        "id": key.id,
        "hash": key.hash,
        "name": key.name,
        "created_at": transaction.now,
        "expires_at": _whole(key.expires_at),
        "revoked_at": None,
        "replaces": key.replaces,
        "seq": recorded.last,
        "detail": json.dumps(detail),
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


def _read(row: Row[Any]) -> ApiKey:
    detail = json.loads(row.detail)
    return ApiKey(
        id=row.id,
        hash=bytes(row.hash),
        name=row.name,
        owner=detail["owner"],
        groups=tuple(detail["groups"]),
        scope=tuple(detail["scope"]),
        created_at=seconds(row.created_at),
        expires_at=seconds(row.expires_at),
        by=detail["by"],
        replaces=row.replaces,
        revoked_at=_seconds(row.revoked_at),
        revoked_by=detail.get("revoked_by", ""),
        reason=detail.get("reason", ""),
    )


def _seconds(time: int | None) -> float | None:
    return None if time is None else seconds(time)
