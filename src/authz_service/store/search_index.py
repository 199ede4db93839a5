"""The search index follows the record: a step reads the next entries, and commits what they add to it.

A step is computed outside of the writer's transaction, and taken only if nobody took it meanwhile and
the payloads that it was made from are still there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from sqlalchemy import Row, delete, func, insert, select, update

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.store.bulk_rows import require_bytes
from authz_service.store.damage import DAMAGE
from authz_service.store.schema import entries, payloads, sessions
from authz_service.store.search_schema import PERSONAL, REVIEWER, marks, sources, state
from authz_service.store.search_sessions import Indexed, look_at
from authz_service.store.search_texts import indexed, table_of
from authz_service.store.transaction import Reader, Transaction

log = structlog.get_logger(__name__)

ENTRIES_AT_ONCE = 64  # a step is one transaction, for which whoever records waits
SOURCES_AT_ONCE = 200

_TELLING = frozenset(
    {
        Kind.REQUEST_RECEIVED.value,
        Kind.REQUEST_DECIDED.value,
        Kind.REQUEST_RELEASED.value,
        Kind.REQUEST_REFUSED.value,
        Kind.HOLD_OPENED.value,
        Kind.HOLD_VOTED.value,
        Kind.HOLD_BREAK_GLASS.value,
        Kind.EXCHANGE_ENDED.value,
        Kind.EXCHANGE_RECOVERED.value,
    }
)
"""Kinds after which a session is looked at again: pieces of an answer wait for its end."""


@dataclass(frozen=True, slots=True)
class Step:
    """From the entries after `after` up to `through`. `forgets_all` begins anew; `size` in bytes."""

    after: int
    through: int
    has_texts: bool
    items: Sequence[Indexed] = ()
    forgets_all: bool = False
    size: int = 0


def next_step(reader: Reader, *, has_texts: bool, most: int = ENTRIES_AT_ONCE) -> Step | None:
    """What is to be done next, with `most` entries; None when the index has seen every one."""
    stands = reader.read(select(state.c.seq, state.c.has_texts).where(state.c.id == 1)).one()
    if bool(stands.has_texts) != has_texts:
        return Step(stands.seq, 0, has_texts, forgets_all=True)
    query = select(entries.c.seq, entries.c.session, entries.c.body).where(entries.c.seq > stands.seq)
    rows = reader.read(query.order_by(entries.c.seq).limit(most)).all()
    if not rows:
        return None
    told = dict.fromkeys(row.session for row in rows if row.session is not None and _is_telling(row))
    items = look_at(reader, list(told), has_texts=has_texts)
    size = sum(len(word) + 1 for item in items for word in (*item.prompt, *item.answer))
    return Step(stands.seq, rows[-1].seq, has_texts, items, size=size)


def take(transaction: Transaction, step: Step) -> None:
    """Commit a step, unless another process was first."""
    current = transaction.read(select(state.c.seq, state.c.has_texts).where(state.c.id == 1)).one()
    if step.forgets_all:
        for table in (marks, sources, table_of(transaction.dialect)):
            transaction.change(delete(table))
    elif (current.seq, bool(current.has_texts)) != (step.after, step.has_texts):
        return
    if step.items:
        _replace(transaction, step.items)
    moved = update(state).where(state.c.id == 1)
    transaction.change(moved.values(seq=step.through, has_texts=step.has_texts))


def forget_reviewer(transaction: Transaction, digest: bytes, names: Collection[str]) -> None:
    """No session is found any more by the names in the payload of a vote, which is about to be deleted.

    All that is in the index of a session goes with any of its payloads; but these sessions are another's.
    """
    of_vote = sources.c.digest == digest
    gone = [f"{REVIEWER}{clean(name)}" for name in names if name]
    voted = select(sources.c.session).where(of_vote)
    transaction.change(delete(marks).where(marks.c.mark.in_(gone), marks.c.session.in_(voted)))
    transaction.change(delete(sources).where(of_vote))


def forget_names(transaction: Transaction, session: str, names: Collection[str]) -> None:
    """The same of one session, where the vote's entry does not tell which payload it was."""
    gone = [f"{REVIEWER}{clean(name)}" for name in names if name]
    voted = select(sessions.c.seq).where(sessions.c.id == session)
    transaction.change(delete(marks).where(marks.c.mark.in_(gone), marks.c.session.in_(voted)))


def _replace(transaction: Transaction, items: Sequence[Indexed]) -> None:
    texts = table_of(transaction.dialect)
    key = texts.c.rowid if transaction.dialect == "sqlite" else texts.c.session
    for table, column in ((marks, marks.c.session), (sources, sources.c.session), (texts, key)):
        transaction.change(delete(table).where(column.in_([item.session for item in items])))
    left = _whole(transaction, items)
    pairs = [{"mark": mark, "session": item.session} for item in left for mark in sorted(item.marks)]
    if pairs:
        transaction.change(insert(marks), pairs)
    rows = [{"digest": digest, "session": item.session} for item in left for digest in sorted(item.sources)]
    if rows:
        transaction.change(insert(sources), rows)
    said = [
        indexed(transaction.dialect, item.session, item.prompt, item.answer)
        for item in left
        if item.prompt or item.answer
    ]
    if said:
        transaction.change(insert(texts), said)


def _whole(transaction: Transaction, items: Sequence[Indexed]) -> Sequence[Indexed]:
    """What may be put in: of payloads purged since the step was computed, what was made from them is gone."""
    if _are_there(transaction, {digest for item in items for digest in item.sources}):
        return items
    return [
        item
        if _are_there(transaction, item.sources)
        else Indexed(item.session, _impersonal(item), frozenset())
        for item in items
    ]


def _impersonal(item: Indexed) -> frozenset[str]:
    return frozenset(mark for mark in item.marks if not mark.startswith(PERSONAL))


def _are_there(transaction: Transaction, digests: Iterable[bytes]) -> bool:
    wanted = sorted(digests)
    for start in range(0, len(wanted), SOURCES_AT_ONCE):
        some = wanted[start : start + SOURCES_AT_ONCE]
        query = select(func.count()).select_from(payloads).where(payloads.c.digest.in_(some))
        if transaction.read(query).scalar_one() != len(some):
            return False
    return True


def _is_telling(row: Row[Any]) -> bool:
    """False for an entry that cannot be read: nor can its session be, and the next ones wait for neither."""
    try:
        return bool(row.body) and orjson.loads(require_bytes(row.body)).get("kind") in _TELLING
    except DAMAGE as error:
        log.error("index.passed_over", entry=row.seq, error=type(error).__name__)
        return False
