"""Writes an export: the record as tlog-tiles, with payloads, checkpoints, the key and a verifier."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Select, exists, select

import authz_verifier
from authz_service.audit.checkpoint import SESSION as LOG_SESSION
from authz_service.audit.checkpoint import Checkpoint, note
from authz_service.audit.draft import Kind
from authz_service.audit.entry import PayloadRef, decode
from authz_service.audit.forgotten import SESSION
from authz_service.audit.merkle import leaf_hash
from authz_service.audit.retention import ORIGINAL
from authz_service.audit.tiles import WIDTH, TileWriter, bundle, bundle_path, payloads_path
from authz_service.errors import AuthzError, Misconfigured
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import entries, sessions
from authz_verifier import tiles

Progress = Callable[[int, int], None]
Leaf = tuple[bytes, bytes]
"""The bytes of an entry, and its hash in the tree."""

COPIED_AT_ONCE = 1 << 20
ROWS_AT_ONCE = 256
"""Of a query whose rows are as many as the record has: a driver holds all of them unless it is told so."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export. `first` and `last` are entries, from 1; whole bundles of 256 are written.

    `vkeys` are the log's public keys, the one that signs now first; `checkpoints` is the file of those
    that were kept, of which so many bytes were there before the view of the record began: what was
    appended since may be ahead of it.
    """

    vkeys: Sequence[str]
    first: int
    last: int
    payloads: bool = True
    checkpoints: Path | None = None
    checkpoints_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the log's size, and how many entries and payloads; `damaged` payloads were not."""

    size: int
    entries: int
    payloads: int
    damaged: int = 0


def export(reader: RecordReader, folder: Path, wanted: Wanted, progress: Progress) -> Exported:
    """Write the export into `folder`, which must be empty or not there.

    What is in memory does not grow with the record. The manifest is written last: an export without
    one is not whole. Raises `Misconfigured` for a folder that is not empty, and an error that says so
    when the disk is full.
    """
    require_empty(folder)
    with _explained(folder):
        return _Writer(reader, folder, wanted).write(progress)


def require_empty(folder: Path) -> None:
    """Make the folder where there is none; raises `Misconfigured` for one that is not empty."""
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise Misconfigured(f"{folder} is not empty; name a directory that is new")


class _Writer:
    def __init__(self, reader: RecordReader, folder: Path, wanted: Wanted) -> None:
        self._reader, self._folder, self._wanted = reader, folder, wanted
        self._tiles = TileWriter()
        self._entries = self._payloads = self._damaged = 0

    def write(self, progress: Progress) -> Exported:
        head = self._reader.head()
        size = head.size
        pending: list[Leaf] = []
        number = 0
        for page in self._reader.pages(1, size):
            for row in page:
                if row.seq != number * WIDTH + len(pending) + 1:
                    raise Misconfigured("entries are missing, so there is no tree; run: authz audit verify")
                pending.append(_leaf(bytes(row.body), bytes(row.leaf or b"")))
                if len(pending) == WIDTH:
                    self._bundle(number, pending)
                    number, pending = number + 1, []
            progress(page[-1].seq, size)
        if number * WIDTH + len(pending) != size:
            raise Misconfigured("entries are missing, so there is no tree; run: authz audit verify")
        if pending:
            self._bundle(number, pending)
        for name, content in self._tiles.rest():
            self._put(name, content)
        self._key_and_checkpoints(head)
        self._write_tombstones()
        os.sync()  # a disk may say only now that it is full
        done = Exported(size, self._entries, self._payloads, self._damaged)
        self._put("manifest.json", self._manifest(done))
        return done

    def _bundle(self, number: int, leaves: Sequence[Leaf]) -> None:
        for _, leaf in leaves:
            for name, content in self._tiles.append(leaf):
                self._put(name, content)
        bodies = [body for body, _ in leaves]
        start = number * WIDTH
        if start + len(bodies) < self._wanted.first or start >= self._wanted.last:
            return
        self._put(bundle_path(number, len(bodies)), bundle(bodies))
        self._entries += len(bodies)
        if self._wanted.payloads:
            self._write_payloads(number, bodies)

    def _write_payloads(self, number: int, bodies: Sequence[bytes]) -> None:
        references = [reference for body in bodies for reference in _references(body)]
        # Values before masking are for whom a role names, which no file asks for.
        sizes = {ref.digest: ref.size for name, ref in references if name != ORIGINAL}
        file: BinaryIO | None = None
        try:
            for _, salt, body in self._reader.payloads(sizes.items(), self._skip):
                file = file or self._create(payloads_path(number))
                file.write(salt + len(body).to_bytes(8, "big"))
                file.write(body)
                self._payloads += 1
        finally:
            if file is not None:
                file.close()

    def _skip(self) -> None:
        """One that is damaged is not there for whoever verifies the export, which names it."""
        self._damaged += 1

    def _key_and_checkpoints(self, head: Any) -> None:
        origin = self._wanted.vkeys[0].split("+")[0]
        text = note(Checkpoint(origin, head.size, bytes(head.root)), origin, bytes(head.signature))
        self._put("checkpoint", text.encode())
        self._put("log.vkey", "".join(f"{key}\n" for key in self._wanted.vkeys).encode())
        for name, content in _verifier():
            self._put(name, content)
        if self._wanted.checkpoints is not None and self._wanted.checkpoints_bytes:
            with self._wanted.checkpoints.open("rb") as source, self._create("checkpoints.jsonl") as target:
                left = self._wanted.checkpoints_bytes
                while piece := source.read(min(left, COPIED_AT_ONCE)):
                    target.write(piece)
                    left -= len(piece)

    def _write_tombstones(self) -> None:
        """What accounts for what is not there any more, and for keys and checkpoints, whatever the range."""
        subjects: set[str] = set()
        file: BinaryIO | None = None
        try:
            for body in self._tombstones(subjects):
                file = file or self._create("tombstones.jsonl")
                file.write(body + b"\n")
        finally:
            if file is not None:
                file.close()

    def _tombstones(self, subjects: set[str]) -> Iterator[bytes]:
        """One after the other, `subjects` gets whom they say was erased; then whose sessions go on here."""
        query = (
            select(entries.c.body)
            .where(entries.c.session.in_((SESSION, LOG_SESSION)))
            .order_by(entries.c.seq)
        )
        for body in self._bodies(query):
            erased = _erased(body)
            if erased is None:
                continue  # it is named where it stands among all entries, and so is what it accounted for
            yield body
            subjects |= erased
        # Where a session begins says whose it is, and that may lie before the range.
        begun = self._wanted.first - 1 - (self._wanted.first - 1) % WIDTH
        later = entries.alias()
        goes_on = exists().where(later.c.session == sessions.c.id, later.c.seq > begun)
        names = sorted(subjects) if begun else []
        for start in range(0, len(names), DIGESTS_AT_ONCE):
            theirs = sessions.c.caller.in_(names[start : start + DIGESTS_AT_ONCE])
            query = select(entries.c.body).join(sessions, sessions.c.seq == entries.c.seq)
            query = query.where(theirs, sessions.c.seq <= begun, goes_on)
            yield from (body for body in self._bodies(query) if body and _erased(body) is not None)

    def _bodies(self, query: Select[Any]) -> Iterator[bytes]:
        found = self._reader.read(query.execution_options(yield_per=ROWS_AT_ONCE)).scalars()
        return map(as_bytes, found)

    def _manifest(self, done: Exported) -> bytes:
        manifest = {
            "format": tiles.FORMAT,
            "size": done.size,
            "first": self._wanted.first,
            "last": self._wanted.last,
            "payloads": int(self._wanted.payloads),
            "key": self._wanted.vkeys[0],
        }
        return json.dumps(manifest, indent=2).encode() + b"\n"

    def _put(self, name: str, content: bytes) -> None:
        with self._create(name) as file:
            file.write(content)

    def _create(self, name: str) -> BinaryIO:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _leaf(body: bytes, stored: bytes) -> Leaf:
    """The bytes of an entry that was purged are gone, and its stored hash stands for them."""
    return body, (leaf_hash(body) if body else stored)


def _erased(body: bytes) -> set[str] | None:
    """The pseudonyms of whom this entry orders the erasure of; None where it cannot be read."""
    try:
        entry = decode(body)
        if entry.kind != Kind.RECORD_ERASURE_ORDERED:
            return set()
        return {str(name) for name in (entry.data.get("subject"), *entry.data.get("also", ()))}
    except (ValueError, TypeError):
        return None


def _references(body: bytes) -> list[tuple[str, PayloadRef]]:
    try:
        return list(decode(body).payloads.items())
    except ValueError:
        return []  # a damaged entry is exported as it is: whoever verifies the export will name it


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise AuthzError(
            f"the export into {folder} is not whole ({why}); remove it, and export to where there is room",
            code="export_incomplete",
            status=507,
        ) from error


def _verifier() -> Iterator[tuple[str, bytes]]:
    """The files of the verifier, and where they are in an export."""
    folder = Path(authz_verifier.__file__).parent
    for source in sorted(folder.glob("*.py")):
        is_started = source.name == "verify.py"
        yield source.name if is_started else f"{folder.name}/{source.name}", source.read_bytes()
