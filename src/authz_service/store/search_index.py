"""The search index follows the record: a step reads the next entries, and commits what they add to it.

A step is computed outside of the writer's transaction, and taken only if nobody took it meanwhile and
the payloads that it was made from are still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import delete, func, insert, select, update

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.words import texts_of, words
from authz_service.errors import Unavailable
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries, payloads, sessions
from authz_service.store.search_schema import PERSONAL, marks, sources, state
from authz_service.store.search_texts import indexed, table_of
from authz_service.store.transaction import Reader, Transaction

ENTRIES_AT_ONCE = 64  # a step is one transaction, for which whoever records waits
BYTES_AT_ONCE = 8 * 1024 * 1024  # of payloads
SOURCES_AT_ONCE = 200

_TELLING = frozenset(
    {
        Kind.REQUEST_RECEIVED.value,
        Kind.REQUEST_DECIDED.value,
        Kind.REQUEST_RELEASED.value,
        Kind.REQUEST_REFUSED.value,
        Kind.HOLD_OPENED.value,
        Kind.HOLD_VOTED.value,
        Kind.EXCHANGE_ENDED.value,
        Kind.EXCHANGE_RECOVERED.value,
    }
)
"""Kinds after which a session is looked at again: pieces of an answer wait for its end."""

_ANSWER = Kind.ANSWER_RELEASED.value
_PROMPTS = {
    Kind.REQUEST_RELEASED.value: "body",
    Kind.REQUEST_DECIDED.value: "body",
    Kind.REQUEST_REFUSED.value: "body",
    Kind.HOLD_OPENED.value: "forward",
}


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the index shall have of a session, and the payloads that it is from."""

    session: int
    marks: frozenset[str]
    sources: frozenset[bytes]
    prompt: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Step:
    """From the entries after `after` up to `through`. `forgets_all` begins anew; `size` in bytes."""

    after: int
    through: int
    has_texts: bool
    items: Sequence[Indexed] = ()
    forgets_all: bool = False
    size: int = 0


def next_step(reader: Reader, *, has_texts: bool) -> Step | None:
    """What is to be done next; None when the index has seen every entry."""
    stands = reader.read(select(state.c.seq, state.c.has_texts).where(state.c.id == 1)).one()
    if bool(stands.has_texts) != has_texts:
        return Step(stands.seq, 0, has_texts, forgets_all=True)
    query = select(entries.c.seq, entries.c.session, entries.c.body).where(entries.c.seq > stands.seq)
    rows = reader.read(query.order_by(entries.c.seq).limit(ENTRIES_AT_ONCE)).all()
    if not rows:
        return None
    told = dict.fromkeys(row.session for row in rows if row.session is not None and _is_telling(row.body))
    items = [item for name in told if (item := _attempt(reader, name, has_texts=has_texts)) is not None]
    size = sum(len(word) + 1 for item in items for word in (*item.prompt, *item.answer))
    return Step(stands.seq, rows[-1].seq, has_texts, items, size=size)


def take(transaction: Transaction, step: Step) -> None:
    """Commit a step, unless another process was first."""
    current = transaction.read(select(state.c.seq, state.c.has_texts).where(state.c.id == 1)).one()
    texts = table_of(transaction.dialect)
    if step.forgets_all:
        for table in (marks, sources, texts):
            transaction.change(delete(table))
    elif (current.seq, bool(current.has_texts)) != (step.after, step.has_texts):
        return
    for item in step.items:
        _replace(transaction, item)
    moved = update(state).where(state.c.id == 1)
    transaction.change(moved.values(seq=step.through, has_texts=step.has_texts))


def _replace(transaction: Transaction, item: Indexed) -> None:
    texts = table_of(transaction.dialect)
    key = texts.c.rowid if transaction.dialect == "sqlite" else texts.c.session
    for table, column in ((marks, marks.c.session), (sources, sources.c.session), (texts, key)):
        transaction.change(delete(table).where(column == item.session))
    if not _are_there(transaction, item.sources):
        # Purged since the step was computed: what was made from payloads is gone with them.
        left = frozenset(mark for mark in item.marks if not mark.startswith(PERSONAL))
        item = Indexed(item.session, left, frozenset())
    if item.marks:
        rows = [{"mark": mark, "session": item.session} for mark in sorted(item.marks)]
        transaction.change(insert(marks), rows)
    if item.sources:
        rows = [{"digest": digest, "session": item.session} for digest in sorted(item.sources)]
        transaction.change(insert(sources), rows)
    if item.prompt or item.answer:
        transaction.change(
            insert(texts).values(indexed(transaction.dialect, item.session, item.prompt, item.answer))
        )


def _are_there(transaction: Transaction, digests: frozenset[bytes]) -> bool:
    wanted = sorted(digests)
    for start in range(0, len(wanted), SOURCES_AT_ONCE):
        some = wanted[start : start + SOURCES_AT_ONCE]
        query = select(func.count()).select_from(payloads).where(payloads.c.digest.in_(some))
        if transaction.read(query).scalar_one() != len(some):
            return False
    return True


def _is_telling(body: bytes) -> bool:
    return bool(body) and orjson.loads(bytes(body)).get("kind") in _TELLING


def _attempt(reader: Reader, name: str, *, has_texts: bool) -> Indexed | None:
    """A session that cannot be read is not found, and keeps no other from being found."""
    try:
        return _look_at(reader, name, has_texts=has_texts)
    except Unavailable as error:
        if error.code != "record_damaged":
            raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        pass
    return None


def _look_at(reader: Reader, name: str, *, has_texts: bool) -> Indexed | None:
    """All that is known of a session now."""
    number = reader.read(select(sessions.c.seq).where(sessions.c.id == name)).scalar()
    if number is None:
        return None
    query = select(entries.c.body).where(entries.c.session == name).order_by(entries.c.seq)
    documents = [orjson.loads(bytes(body)) for body in reader.read(query).scalars() if body]
    is_over = any(d["kind"] in (Kind.EXCHANGE_ENDED.value, Kind.EXCHANGE_RECOVERED.value) for d in documents)
    wanted = list(_wanted(documents, has_texts=has_texts, is_over=is_over))
    opened = read_payloads(reader, {digest for _, digest in wanted})
    bodies: dict[str, list[bytes]] = {"caller": [], "voter": [], "prompt": [], "answer": []}
    for part, digest in wanted:
        if digest in opened:
            bodies[part].append(opened[digest].body)
    return Indexed(
        number,
        frozenset({*_entities(documents), *_groups(bodies["caller"]), *_reviewers(bodies["voter"])}),
        frozenset(digest for _, digest in wanted if digest in opened),
        words("\n".join(texts_of(body) for body in bodies["prompt"][-1:])),
        words(texts_of(b"".join(bodies["answer"]))) if bodies["answer"] else [],
    )


def _wanted(documents: Sequence[Any], *, has_texts: bool, is_over: bool) -> Iterator[tuple[str, bytes]]:
    """The payloads that the index is made from, each with the part that it plays."""
    size = 0
    for document in documents:
        kind, references = document["kind"], document["payloads"]
        parts = {"caller": "caller"} if kind == Kind.REQUEST_RECEIVED.value else {}
        if kind == Kind.HOLD_VOTED.value:
            parts = {"voter": "voter"}
        if has_texts and kind in _PROMPTS:
            parts = {_PROMPTS[kind]: "prompt"}
        if has_texts and is_over and kind == _ANSWER:
            parts = {"body": "answer"}
        for name, part in parts.items():
            reference = references.get(name)
            if reference is not None and size <= BYTES_AT_ONCE:
                size += reference["size"]
                yield part, bytes.fromhex(reference["digest"])


def _entities(documents: Sequence[Any]) -> Iterator[str]:
    for document in documents:
        for name in ("findings", "masked"):
            found = document["data"].get(name)
            if isinstance(found, dict):
                yield from (f"entity:{clean(entity)}" for entity, count in found.items() if count)


def _groups(callers: Sequence[bytes]) -> Iterator[str]:
    for caller in callers:
        yield from (f"group:{clean(group)}" for group in orjson.loads(caller).get("groups", ()))


def _reviewers(voters: Sequence[bytes]) -> Iterator[str]:
    for body in voters:
        voter = orjson.loads(body)
        names = (voter["voter"][-1], voter.get("account", [""])[-1], voter.get("name"))
        yield from (f"reviewer:{clean(name)}" for name in names if name)
