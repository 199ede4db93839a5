"""What a search finds a session by: read from its entries and payloads, many sessions at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import structlog
from sqlalchemy import select

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.words import texts_of, words
from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.keys.payload_cipher import Opened
from authz_service.store.bulk_rows import require_bytes
from authz_service.store.damage import DAMAGE
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries, sessions
from authz_service.store.search_schema import REVIEWER
from authz_service.store.transaction import Reader

log = structlog.get_logger(__name__)

BYTES_AT_ONCE = 8 * 1024 * 1024  # of payloads

_ANSWER = Kind.ANSWER_RELEASED.value
_PROMPTS = {
    Kind.REQUEST_RELEASED.value: "body",
    Kind.REQUEST_DECIDED.value: "body",
    Kind.REQUEST_REFUSED.value: "body",
    Kind.HOLD_OPENED.value: "forward",
}
_ENDS = (Kind.EXCHANGE_ENDED.value, Kind.EXCHANGE_RECOVERED.value)


@dataclass(frozen=True, slots=True)
class Indexed:
    """What the index shall have of a session, and the payloads that it is from."""

    session: int
    marks: frozenset[str]
    sources: frozenset[bytes]
    prompt: list[str] = field(default_factory=list)
    answer: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Known:
    """A session, its entries, and the payloads that are wanted of it, each with its part and size."""

    number: int
    name: str
    documents: Sequence[Any]
    wanted: Sequence[tuple[str, bytes, int]]

    @property
    def digests(self) -> set[bytes]:
        return {digest for _, digest, _ in self.wanted}


def look_at(reader: Reader, names: Sequence[str], *, has_texts: bool) -> list[Indexed]:
    """All that is known of these sessions now.

    One that cannot be read is found by what was known of it before, if anything, and keeps no other from
    being found; the log names it.
    """
    known = _known(reader, names, has_texts=has_texts)
    together = _read_together(reader, known)
    return [item for one in known if (item := _attempt(reader, one, together)) is not None]


def _known(reader: Reader, names: Sequence[str], *, has_texts: bool) -> list[_Known]:
    found = reader.read(select(sessions.c.id, sessions.c.seq).where(sessions.c.id.in_(names))).all()
    query = select(entries.c.session, entries.c.body).where(entries.c.session.in_(names))
    bodies: dict[str, list[Any]] = {row.id: [] for row in found}
    for row in reader.read(query.order_by(entries.c.session, entries.c.seq)):
        if row.body and row.session in bodies:
            bodies[row.session].append(row.body)
    known = []
    for row in found:
        try:
            documents = [orjson.loads(require_bytes(body)) for body in bodies[row.id]]
            wanted = list(_wanted(documents, has_texts=has_texts))
            known.append(_Known(row.seq, row.id, documents, wanted))
        except DAMAGE as error:
            _pass_over(row.id, error)
    return known


def _read_together(reader: Reader, known: Sequence[_Known]) -> Mapping[bytes, Opened] | None:
    """The payloads of all; None when they are too large for that, or one of them cannot be read."""
    if sum(size for one in known for _, _, size in one.wanted) > BYTES_AT_ONCE:
        return None
    try:
        return read_payloads(reader, {digest for one in known for digest in one.digests})
    except Unavailable as error:
        if error.code != DAMAGED:
            raise
        return None
    except DAMAGE:  # SQLite gives back whatever was put there
        return None


def _attempt(reader: Reader, one: _Known, together: Mapping[bytes, Opened] | None) -> Indexed | None:
    try:
        return _indexed(one, read_payloads(reader, one.digests) if together is None else together)
    except Unavailable as error:
        if error.code != DAMAGED:
            raise
        _pass_over(one.name, error)
    except DAMAGE as error:
        _pass_over(one.name, error)
    return None


def _pass_over(name: str, error: Exception) -> None:
    log.error("index.passed_over", session=name, error=type(error).__name__)


def _indexed(one: _Known, opened: Mapping[bytes, Opened]) -> Indexed:
    bodies: dict[str, list[bytes]] = {"caller": [], "voter": [], "prompt": [], "answer": []}
    for part, digest, _ in one.wanted:
        if digest in opened:
            bodies[part].append(opened[digest].body)
    return Indexed(
        one.number,
        frozenset({*_entities(one.documents), *_groups(bodies["caller"]), *_reviewers(bodies["voter"])}),
        frozenset(digest for digest in one.digests if digest in opened),
        words("\n".join(texts_of(body) for body in bodies["prompt"][-1:])),
        words(texts_of(b"".join(bodies["answer"]))) if bodies["answer"] else [],
    )


def _wanted(documents: Sequence[Any], *, has_texts: bool) -> Iterator[tuple[str, bytes, int]]:
    """The payloads that the index is made from, each with the part that it plays."""
    is_over = any(document["kind"] in _ENDS for document in documents)
    size = 0
    for document in documents:
        kind, references = document["kind"], document["payloads"]
        parts = {"caller": "caller"} if kind == Kind.REQUEST_RECEIVED.value else {}
        if kind in (Kind.HOLD_VOTED.value, Kind.HOLD_BREAK_GLASS.value):
            parts = {"voter": "voter"}
        if has_texts and kind in _PROMPTS:
            parts = {_PROMPTS[kind]: "prompt"}
        if has_texts and is_over and kind == _ANSWER:
            parts = {"body": "answer"}
        for name, part in parts.items():
            reference = references.get(name)
            if reference is not None and size <= BYTES_AT_ONCE:
                size += reference["size"]
                yield part, bytes.fromhex(reference["digest"]), reference["size"]


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
        yield from (f"{REVIEWER}{clean(name)}" for name in names if name)
