"""One pass over a record's entries: what they say of themselves, and the tree that they make.

Where bytes and stored leaf hash of an entry differ, the entry is named, and the tree is tried with
both. Where the tree is not the one that was signed, what is wrong is narrowed to the entries between two
checkpoints that were kept; a checkpoint with a frontier also lets the pass go on behind the damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, NamedTuple

import orjson

from authz_service.audit.entry import FORMAT
from authz_service.audit.given_up import GivenUp
from authz_service.audit.merkle import EMPTY_ROOT, HASH_BYTES, Frontier
from authz_service.audit.retention import STANDING
from authz_service.audit.tiles import WIDTH, perfect_root

Stored = tuple[int, str | None, bytes, bytes]
"""A row of entries: number, session, bytes, leaf hash."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """A record, and what is wrong with it; neither has a value that a caller sent."""

    record: str
    what: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint whose signature is good: where it was kept, and the frontier that goes with its root."""

    source: str
    size: int
    root: bytes
    frontier: Frontier | None = None


class Seen(NamedTuple):
    """An entry that could be read: its number as its row has it, and what its bytes say.

    A tuple, since one is made of each entry of a record.
    """

    sequence: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Tree:
    """One way in which the tree may have grown: by the hashes of the bytes, or by those that are stored."""

    edge: Frontier
    from_bytes: bool


@dataclass(slots=True)
class Walk:
    """Feed `page` with the rows of all entries in order, then ask `end`."""

    kept: Sequence[Kept] = ()
    given_up: Sequence[GivenUp] = ()
    is_purged: Callable[[int, str | None], bool] | None = None
    """Whether a tombstone tells that the bytes of an entry were taken: its leaf hash stands for it then.
    None where there is no tombstone."""
    wrong: list[Wrong] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    size: int = 0
    last_at: str = ""
    emptied: int = 0
    """How many entries were taken for purged."""
    agreed: int = 0
    """Up to where the tree is that of a kept checkpoint."""
    _trees: list[_Tree] = field(default_factory=lambda: [_Tree(Frontier(), from_bytes=True)])
    _waiting: list[Kept] = field(default_factory=list)
    _is_whole: bool = True

    def __post_init__(self) -> None:
        self._waiting = sorted(self.kept, key=lambda kept: kept.size, reverse=True)
        self._meet_checkpoints()

    def page(self, rows: Sequence[Stored]) -> list[Seen]:
        """Take in the next rows; the entries that could be read."""
        seen: list[Seen] = []
        purged = self.is_purged
        computed: list[bytes] = []
        stored: list[bytes] = []
        for sequence, session, body, leaf in rows:
            if sequence != self.size + len(computed) + 1:
                self._grow(computed, stored)
                computed, stored = [], []
                self._skip_to(sequence)
            is_purged = not body and purged is not None and purged(sequence, session)
            if len(leaf) != HASH_BYTES:
                if is_purged:
                    self._say(f"entry {sequence}", "its leaf hash is none")
                leaf = sha256(leaf).digest()  # altered: any other hash does
            self.emptied += is_purged
            found = leaf if is_purged else sha256(b"\x00" + body).digest()
            computed.append(found)
            stored.append(leaf)
            if found != leaf:
                self._say(f"entry {sequence}", "its bytes and its leaf hash do not fit each other")
            document = None if is_purged else self._read(sequence, session, body)
            if document is not None:
                if purged is not None and document["kind"] not in STANDING and purged(sequence, session):
                    self._say(f"entry {sequence}", "has bytes, and a tombstone says that they were taken")
                seen.append(Seen(sequence, document))
        self._grow(computed, stored)
        return seen

    def end(self, size: int, root: bytes) -> Frontier | None:
        """All entries were fed: compare with the head. The frontier that it must have, if it is known."""
        if self.size < size:
            self._skip_to(size + 1)
        for kept in self._waiting:
            if self._is_given_up(kept):
                continue
            what = f"the record had {kept.size} entries then and has {self.size} now: its end is missing"
            self._say(kept.source, what)
        if not self._is_whole:
            return None
        for tree in self._trees:
            if tree.edge.size == size and tree.edge.root() == root:
                return tree.edge
        self._say(
            f"entries {self.agreed + 1} to {self.size}", "the tree over them is not the one of the head"
        )
        return None

    def _read(self, sequence: int, session: str | None, body: bytes) -> dict[str, Any] | None:
        try:
            document = orjson.loads(body)
            if document["v"] != FORMAT:
                self._say(f"entry {sequence}", "has a format that this version does not know")
                return None
            if document["seq"] != sequence:
                self._say(f"entry {sequence}", f"says that it is number {int(document['seq'])}")
            own, at = document["session"], document["at"]
            if own != session:
                self._say(f"entry {sequence}", "is filed under another session than its own")
            if at < self.last_at:
                self._say(f"entry {sequence}", "is older than the one before it")
            else:
                self.last_at = at
            has_kind = type(document["kind"]) is str and (own is None or type(own) is str)
            is_read = has_kind and type(document["data"]) is dict and type(document["payloads"]) is dict
            if is_read and type(at) is str:  # as `is_entry` has it
                entry: dict[str, Any] = document
                return entry
        except (ValueError, KeyError, TypeError):
            pass
        self._say(f"entry {sequence}", "is no entry: its bytes cannot be read")
        return None

    def _grow(self, computed: list[bytes], stored: list[bytes]) -> None:
        """Add leaves to the tree, or trees: from here on two, if the hashes differ for the first time."""
        if computed != stored and all(tree.from_bytes for tree in self._trees):
            self._trees += [_Tree(_copy(tree.edge), from_bytes=False) for tree in self._trees]
        start = 0
        while start < len(computed):
            end = min(len(computed), start + WIDTH - self.size % WIDTH)
            if self._waiting and self._waiting[-1].size > self.size:
                end = min(end, start + self._waiting[-1].size - self.size)
            for tree in self._trees:
                _extend(tree.edge, (computed if tree.from_bytes else stored)[start:end])
            self.size += end - start
            start = end
            self._meet_checkpoints()

    def _meet_checkpoints(self) -> None:
        while self._waiting and self._waiting[-1].size == self.size:
            kept = self._waiting.pop()
            roots = [EMPTY_ROOT] if self.size == 0 else [tree.edge.root() for tree in self._trees]
            if self._is_whole and kept.root in roots:
                self.agreed = self.size
                continue
            if self._is_given_up(kept):
                continue
            if self._is_whole:
                what = f"are not those that were signed in {kept.source} (size {kept.size})"
                self._say(f"entries {self.agreed + 1} to {self.size}", what)
            self._go_on_from(kept)

    def _skip_to(self, sequence: int) -> None:
        """The rows before `sequence` are not there, or it comes twice."""
        missing = (self.size + 1, sequence - 1)
        if sequence <= self.size:
            self._say(f"entry {sequence}", "comes twice")
            return
        one = missing[0] == missing[1]
        self._say(f"entry {missing[0]}" if one else f"entries {missing[0]} to {missing[1]}", "missing")
        self._is_whole = False
        self.size = missing[1]
        while self._waiting and self._waiting[-1].size <= self.size:
            kept = self._waiting.pop()
            if kept.size == self.size:
                self._go_on_from(kept)

    def _go_on_from(self, kept: Kept) -> None:
        """What follows may be right again; the tree so far is kept too, as the head may be signed for it."""
        if kept.frontier is None:
            return
        known = self._trees[:2] if self._is_whole else []
        self._trees = [_Tree(_copy(kept.frontier), from_bytes=True), *known]
        self._is_whole, self.agreed = True, self.size

    def _is_given_up(self, kept: Kept) -> bool:
        if not any(given_up.has(kept.size, kept.root) for given_up in self.given_up):
            return False
        self.notes.append(f"{kept.source} (size {kept.size}) was given up, and an entry says why")
        return True

    def _say(self, record: str, what: str) -> None:
        self.wrong.append(Wrong(record, what))


def readable(rows: Iterable[tuple[int, bytes]]) -> Iterator[Seen]:
    """The entries among numbers and bytes that `Walk.page` could read too; it says what the others are."""
    for sequence, body in rows:
        try:
            document = orjson.loads(body)
        except ValueError:
            continue
        if is_entry(document) and document.get("v") == FORMAT:
            yield Seen(sequence, document)


def is_entry(document: Any) -> bool:
    """Whether a JSON document has the members that every entry has, each of its type."""
    if type(document) is not dict or type(document.get("at")) is not str:
        return False
    session = document.get("session")
    has_kind = type(document.get("kind")) is str and (session is None or type(session) is str)
    return has_kind and type(document.get("data")) is dict and type(document.get("payloads")) is dict


def _copy(tree: Frontier) -> Frontier:
    return Frontier.from_bytes(tree.size, tree.to_bytes())


def _extend(tree: Frontier, leaves: Iterable[bytes]) -> None:
    row = list(leaves)
    if len(row) == WIDTH and tree.size % WIDTH == 0:
        tree.append(perfect_root(row), level=WIDTH.bit_length() - 1)
        return
    for leaf in row:
        tree.append(leaf)
