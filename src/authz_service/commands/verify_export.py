#!/usr/bin/env python3
"""Verifies an export of the record, with Python's standard library alone and without a network.

    python3 verify.py [DIR] [--key VKEY]... [--checkpoint FILE]... [--jobs N] [--json]
    python3 verify.py --proof FILE --key VKEY

DIR is the export, by default the directory of this file. VKEY is the log's public key as you were given
it (name+hash+base64); without it the export's own key is believed, which shows that the export fits
together, not whose it is. FILE is a checkpoint that was kept elsewhere: what was cut off or rewritten
since is found against it, and against nothing else.

What was decided is derived from the votes on record: that they are there, of distinct people, for the stages
and on the bytes that are meant, and enough of them; not whether each came in time. It works in as many
processes as there are processors, or N.

With --proof it verifies one entry, as `authz audit prove` shows it, and prints it.

Exit code 0: everything fits. 1: something does not, and is named. 2: it could not be verified.

It is one file, and imports nothing of the program that wrote the export, since it goes with each of them.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import multiprocessing
import os
import signal
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

FORMAT = "authz-export/1"
PROOF = "c2sp.org/tlog-proof@v1"
WIDTH = 256
MOST_LISTED = 10_000
PIECE = 1 << 20
MOST_KEPT = 16 << 20
TILES_AT_ONCE = 16
FEW_TILES = 512
"""So many are verified sooner than other processes have started."""
MOST_JOBS = 8
SPARE_SECONDS = 300
"""How much longer than its time what may be used once is remembered."""
STANDING = {
    "policy.activated",
    "log.key_created",
    "log.key_rotated",
    "token.revoked",
    "token.restored",
    "api_key.created",
    "api_key.rotated",
    "api_key.revoked",
    "record.accepted",
    "record.master_key_rotated",
    "record.purged",
    "record.kept",
    "record.keep_lifted",
    "record.erasure_ordered",
    "record.erased",
}
"""Kinds of entries that no purge takes anything from."""
OF_STANDING = {"revoked": "subject", "key": "subject", "operator": "operator", "order": "orderer"}
"""Where those say by pseudonym whom a payload of theirs is about."""
ORIGINAL = "original"
"""The name of a payload that has what was there before masking; no export has any."""
REVISED = {"x-authz-edited", "x-authz-responded"}
"""Headers of an answer that a reviewer edited or wrote."""


class Cut(ValueError):
    """A file ends before what it has is whole."""

    def __str__(self) -> str:
        return "it is cut"


class CannotVerify(Exception):
    """There is nothing that could be verified: no export, no key, a format that is not known."""


@dataclass
class Report:
    """What was found. `wrong` has a record and what is wrong with it, the first 10,000 of `count`."""

    origin: str = ""
    size: int = 0
    root: str = ""
    key: str = ""
    entries: int = 0
    payloads: int = 0
    checkpoints: int = 0
    count: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, record: str, what: str) -> None:
        """One more thing that is wrong."""
        self.count += 1
        if len(self.wrong) < MOST_LISTED:
            self.wrong.append((record, what))


@dataclass(frozen=True)
class Key:
    """A verifier key (C2SP signed-note): its text, name, the 4 bytes in its signatures, and 32 bytes."""

    text: str
    name: str
    id: bytes
    public: bytes


@dataclass(frozen=True)
class Kept:
    """A checkpoint that was kept: where, and its note's text and signatures."""

    source: str
    text: bytes
    signatures: list[tuple[str, bytes]]
    size: int
    root: bytes


Progress = Callable[[int, int], None]


def verify(
    folder: Path,
    keys: Iterable[str] = (),
    checkpoints: Iterable[Path] = (),
    progress: Progress = lambda done, size: None,
    jobs: int = 1,
) -> Report:
    """Verify the export in `folder` with so many processes beside this one, or with none for 1.

    `progress` is told how many of how many entries are done.

    Raises `CannotVerify`.
    """
    manifest = read_manifest(folder)
    report = Report()
    head = read_note(read(folder / "checkpoint", "checkpoint").decode("utf-8", "replace"), "checkpoint")
    report.origin, report.size, report.root = _origin(head), head.size, head.root.hex()
    trusted = [parse_key(text) for text in keys]
    if not trusted:
        trusted = [parse_key(line) for line in _lines(read(folder / "log.vkey", "log.vkey"))]
        report.notes.append("the key is the export's own: compare it with the one that you were given")
    kept = [note for path in checkpoints for note in read_kept(path, report)]
    own = folder / "checkpoints.jsonl"
    if own.exists():
        kept += read_kept(own, report)
    walk = Walk(Export(folder, manifest), head, report, trusted, kept)
    walk.run(progress, jobs)
    return report


class Taken:
    """What purges of one class took; to ask it takes no look at each of them, and there may be many.

    A batch is a range of entries but for what is passed over, or what others had passed over: sessions, and
    the numbers of entries that have none.
    """

    def __init__(self) -> None:
        self.lasts: list[int] = []
        self.ranges: list[tuple[int, set[str | int]]] = []
        self.later: dict[str | int, int] = {}
        self.latest = 0

    def add(self, sequence: int, data: dict[str, Any]) -> None:
        """One batch; ranges come in order, as they were made."""
        for passed in data["only"]:
            self.later[passed] = self.latest = sequence
        first, last = int(data["first"]), int(data["last"])
        if not data["only"] and (not self.lasts or self.lasts[-1] < first):
            self.lasts.append(last)
            self.ranges.append((first, set(data["but"])))

    def has(self, sequence: int, session: str | None) -> bool:
        """Whether one of them took what this entry has of the class."""
        if sequence < self.later.get(session or "", 0) or sequence < self.later.get(sequence, 0):
            return True
        index = bisect_left(self.lasts, sequence)
        if index == len(self.ranges):
            return False
        first, but = self.ranges[index]
        return first <= sequence and but.isdisjoint((session, sequence))

    def may_have(self, sequence: int) -> bool:
        """The same of an entry of which the session is not known."""
        index = bisect_left(self.lasts, sequence)
        return sequence < self.latest or (index < len(self.ranges) and self.ranges[index][0] <= sequence)


@dataclass
class Erasure:
    """Of the person with these pseudonyms: the entries that ordered and ended it."""

    ordered: int
    subjects: set[str]
    done: float = math.inf
    """Until it is, what is said since the order may be lost with the keys as well."""


class Tombstones:
    """What entries about retention say was let go of; each is held against the tree like any other.

    They go with an export apart from the others, since they account for what came before them.
    """

    def __init__(self, folder: Path) -> None:
        self.leaves: dict[int, bytes] = {}
        self.purges = 0
        self.erased: dict[str, float] = {}
        """Up to which entry their payloads may be gone, of whom was erased."""
        self.callers: dict[str, str] = {}
        self._taken = {"entries": Taken(), "payloads": Taken(), "originals": Taken()}
        self._emptied = 0
        self._erasures: list[Erasure] = []
        others: list[dict[str, Any]] = []
        try:
            with (folder / "tombstones.jsonl").open("rb") as lines:
                for line in lines:
                    document = json.loads(line)
                    self.leaves[document["seq"]] = leaf_hash(line.removesuffix(b"\n"))
                    self._take(document["seq"], document["kind"], document["data"])
                    if document["kind"] == "request.received":
                        others.append(document)
            for erasure in self._erasures:
                for subject in erasure.subjects:
                    self.erased[subject] = max(self.erased.get(subject, 0), erasure.done)
            for document in others:
                self.follow(document)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CannotVerify(f"tombstones.jsonl cannot be read ({said(error)})") from error

    def follow(self, document: dict[str, Any]) -> None:
        """Remember the sessions of whom was erased."""
        if document["kind"] == "request.received" and document["data"].get("caller") in self.erased:
            self.callers[document["session"]] = document["data"]["caller"]

    def took_entry(self, sequence: int) -> bool:
        """Whether a purge of entries may have taken this one; its session is not known any more."""
        return self._taken["entries"].may_have(sequence)

    def says_taken(self, sequence: int, document: dict[str, Any]) -> bool:
        """Whether a purge of entries took this one, whose bytes are there."""
        is_standing = document["kind"] in STANDING
        return not is_standing and self._taken["entries"].has(sequence, document["session"])

    def emptied(self) -> int:
        """How many entries have lost their bytes: what covers one says nothing of its session."""
        return self._emptied

    def under_way(self) -> list[int]:
        """The entries that ordered erasures which have not ended."""
        return [erasure.ordered for erasure in self._erasures if erasure.done == math.inf]

    def took_payload(self, sequence: int, name: str, document: dict[str, Any]) -> str:
        """Why a payload of this entry is not there: `purged`, `left out`, `erased` as far as can be known."""
        session, kind = document["session"], document["kind"]
        if kind in STANDING:
            subject = document["data"].get(OF_STANDING.get(name, ""))
            return self._erased(sequence, subject if isinstance(subject, str) else None)
        if self.purged_payload(sequence, name, document):
            return "purged"
        if name == ORIGINAL:
            return "left out"
        if kind.startswith(OF_REVIEW) and name == "voter":
            subject = document["data"].get("voter")
        elif kind == "record.exported":
            subject = document["data"].get("reader")
        elif kind == "notification.retried":
            subject = document["data"].get("operator", self.callers.get(session))
        elif kind.startswith("login."):
            subject = document["data"].get("caller")
        elif kind in ("session.read", "session.searched", "session.killed"):
            # About whoever did that, whom no entry names: it may be any of those who were erased.
            subject = max(self.erased, key=lambda name: self.erased[name], default=None)
        else:
            subject = self.callers.get(session)
        return self._erased(sequence, subject)

    def _erased(self, sequence: int, subject: str | None) -> str:
        return "erased" if subject and sequence <= self.erased.get(subject, 0) else ""

    def concerns(self, kind: str, data: dict[str, Any]) -> bool:
        """Whether an entry begins a session of whom was erased."""
        return bool(self.erased) and kind == "request.received" and data.get("caller") in self.erased

    def purged_payload(self, sequence: int, name: str, document: dict[str, Any]) -> bool:
        """Whether a purge took this payload; those of entries take all that these account for."""
        if document["kind"] in STANDING:
            return False
        classes = ("payloads", "entries", "originals") if name == ORIGINAL else ("payloads", "entries")
        return any(self._taken[of].has(sequence, document["session"]) for of in classes)

    def _take(self, sequence: int, kind: str, data: dict[str, Any]) -> None:
        if kind == "record.purged":
            self.purges += 1
            self._taken[data["class"]].add(sequence, data)
            self._emptied += int(data["entries"]) if data["class"] == "entries" else 0
        elif kind == "record.erasure_ordered":
            self._erasures.append(Erasure(sequence, {data["subject"], *data.get("also", ())}))
        elif kind == "record.erased":
            self._end(sequence, int(data["ordered"]))

    def _end(self, sequence: int, ordered: int) -> None:
        """An erasure is done, and with it those that were ordered before of nobody else."""
        subjects = {name for e in self._erasures if e.ordered == ordered for name in e.subjects}
        for erasure in self._erasures:
            if erasure.ordered <= ordered and erasure.subjects <= subjects:
                erasure.done = min(erasure.done, sequence)


@dataclass
class Finding:
    """What is wrong with a record; findings of a bundle are told in the order of their entries."""

    sequence: int
    record: str
    what: str


@dataclass
class Bundle:
    """What up to 256 entries and their payloads say by themselves; any process may find it out.

    `stored` are the hashes of their tile, `found` those of their bytes; None where these cannot be read.
    `told` are the entries that something follows from for others; `contents` has of payloads that these are
    judged by, by digest, the SHA-256 and the bytes, the latter if they are few. `missing` are payloads.
    """

    stored: list[bytes] | None = None
    found: list[bytes] | None = None
    wrong: list[Finding] = field(default_factory=list)
    first_at: str = ""
    last_at: str = ""
    entries: int = 0
    payloads: int = 0
    emptied: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)
    contents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    missing: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    root: bytes = b""
    """Over the tile's hashes, or else those of the bytes, where the tile is full; and over the latter."""
    found_root: bytes = b""

    def add(self, sequence: int, record: str, what: str) -> None:
        """One more thing that is wrong."""
        self.wrong.append(Finding(sequence, record, what))


class Export:
    """The files of an export, read a bundle at a time."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.first, self.last = manifest["first"], manifest["last"]
        self.has_payloads = manifest["payloads"]
        self.tombstones = Tombstones(folder)

    def bundle(self, number: int, width: int, at: str = "") -> Bundle:
        """What the bundle says, of which no entry may be older than `at`."""
        bundle = Bundle(last_at=at)
        bundle.stored = self.hashes(tile_path(f"tile/0/{numbered(number)}", width), width)
        bundle.found = self._entries(bundle, number, width)
        leaves = bundle.stored or bundle.found
        if leaves is not None and width == WIDTH:
            bundle.root = perfect_root(leaves)
            is_same = bundle.found is None or bundle.found == leaves
            bundle.found_root = bundle.root if is_same else perfect_root(bundle.found or leaves)
        return bundle

    def hashes(self, name: str, width: int) -> list[bytes] | None:
        """The hashes of a tile; None where it is missing, or has not so many."""
        try:
            stored = (self.folder / name).read_bytes()
        except OSError:
            return None
        if len(stored) != 32 * width:
            return None
        return [stored[i : i + 32] for i in range(0, len(stored), 32)]

    def _entries(self, bundle: Bundle, number: int, width: int) -> list[bytes] | None:
        """The leaf hashes of a bundle's entries, which are read; None where the export has none."""
        start = number * WIDTH
        if start + width < self.first or start >= self.last:
            return None
        name = tile_path(f"tile/entries/{numbered(number)}", width)
        try:
            bodies = list(unbundle((self.folder / name).read_bytes()))
        except (OSError, ValueError) as error:
            what = f"entries {start + 1} to {start + width} cannot be read ({said(error)})"
            bundle.add(start + 1, name, what)
            return None
        if len(bodies) != width:
            bundle.add(start + 1, name, f"has {len(bodies)} entries, expected {width}")
            return None
        found = [leaf_hash(body) for body in bodies]
        stored = bundle.stored
        payloads: dict[bytes, list[Reference]] = {}
        for offset, body in enumerate(bodies):
            if not body and stored is not None and self.tombstones.took_entry(start + offset + 1):
                found[offset] = stored[offset]
                bundle.emptied += 1
                continue
            if stored is not None and found[offset] != stored[offset]:
                sequence = start + offset + 1
                bundle.add(sequence, f"entry {sequence}", "its bytes are not those of the tree")
            self._entry(bundle, start + offset + 1, body, payloads)
        if self.has_payloads:
            self._payloads(bundle, number, payloads)
        bundle.entries = width
        return found

    def _entry(
        self, bundle: Bundle, sequence: int, body: bytes, payloads: dict[bytes, list[Reference]]
    ) -> None:
        record = f"entry {sequence}"
        try:
            document = json.loads(body)
            at, kind, data = document["at"], document["kind"], document["data"]
            if document["v"] != 1:
                what = f"has the format {document['v']!r}, which this verifier does not know"
                bundle.add(sequence, record, what)
                return
            if document["seq"] != sequence:
                bundle.add(sequence, record, f"says that it is number {document['seq']}")
            if at < bundle.last_at:
                bundle.add(sequence, record, f"is older than the one before it: {at}")
            else:
                bundle.last_at = at
            bundle.first_at = min(bundle.first_at or at, at)
            if self.tombstones.purges and self.tombstones.says_taken(sequence, document):
                bundle.add(sequence, record, "has bytes, and a tombstone says that they were taken")
            for name, reference in document["payloads"].items():
                told = (sequence, name, reference["size"], document)
                payloads.setdefault(bytes.fromhex(reference["digest"]), []).append(told)
            if kind in FOLLOWED or kind.startswith(OF_REVIEW) or self.tombstones.concerns(kind, data):
                bundle.told.append({**document, "seq": sequence})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            bundle.add(sequence, record, f"is no entry ({said(error)})")

    def _payloads(self, bundle: Bundle, number: int, expected: dict[bytes, list[Reference]]) -> None:
        name = f"payloads/{numbered(number)}"
        missing = dict(expected)
        wanted = judged_by(bundle.told)
        try:
            for digest, size, plain, content in read_payloads(self.folder / name, set(wanted.values())):
                references = expected.get(digest)
                if references is None:
                    what = f"holds a payload that no entry of its bundle accounts for ({size} bytes)"
                    bundle.add(number * WIDTH + 1, name, what)
                    continue
                missing.pop(digest, None)
                bundle.payloads += 1
                if digest.hex() in wanted:
                    bundle.contents[digest.hex()] = (plain, content)
                for reference in references:
                    self._judge_payload(bundle, reference, size)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            bundle.add(number * WIDTH + 1, name, f"cannot be read to its end ({said(error)})")
        for references in missing.values():
            for sequence, of, _, document in references:
                known = {part: document[part] for part in ("kind", "session", "data")}
                bundle.missing.append((f"payload {of} of entry {sequence}", of, {**known, "seq": sequence}))

    def _judge_payload(self, bundle: Bundle, reference: Reference, size: int) -> None:
        sequence, name, told, document = reference
        record = f"payload {name} of entry {sequence}"
        if self.tombstones.purges and self.tombstones.purged_payload(sequence, name, document):
            bundle.add(sequence, record, "is there, and a tombstone says that it was taken")
        if told != size:
            bundle.add(sequence, record, f"has {size} bytes, its entry says {told}")


Reference = tuple[int, str, int, dict[str, Any]]
"""Of a payload: the number of its entry, its name and size there, and the entry."""

FOLLOWED = {
    "log.key_rotated",
    "record.accepted",
    "request.released",
    "answer.released",
    "login.accepted",
    "login.completed",
}
OF_REVIEW = ("hold.", "grant.")
"""Kinds of entries that something follows from for others; from most nothing does."""
JUDGED_BY = {
    "hold.opened": ("forward", "detail"),
    "hold.edited": ("forward", "detail"),
    "hold.responded": ("forward", "detail"),
    "grant.proposed": ("detail",),
    "request.released": ("body",),
    "record.accepted": ("given_up",),
}


def judged_by(documents: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The payloads that these entries are judged by: digests and sizes."""
    found = {}
    for document in documents:
        if document["kind"] == "request.released" and not document["data"].get("hold"):
            continue
        for name in JUDGED_BY.get(document["kind"], ()):
            reference = document["payloads"].get(name)
            if isinstance(reference, dict):
                found[reference["digest"]] = reference["size"]
    return found


class Walk:
    """One pass over the bundles of an export, in order."""

    def __init__(self, export: Export, head: Kept, report: Report, keys: list[Key], kept: list[Kept]) -> None:
        self.export, self.head, self.report, self.keys = export, head, report, keys
        self.by_size: dict[int, list[Kept]] = {}
        for note in kept:
            self.by_size.setdefault(note.size, []).append(note)
        self.tree, self.by_entries = Tree(), Tree()
        self.levels: list[list[bytes]] = []
        self.roots: dict[int, bytes] = {}
        self.at = ""
        self.former: list[Key] = []
        self.given_up: list[tuple[int, int, set[str] | None]] = []
        self.tombstones = export.tombstones
        is_whole = export.first == 1 and not self.tombstones.emptied()
        self.decisions = Decisions(is_whole)
        self.gone = self.emptied = self.left_out = 0

    def run(self, progress: Progress, jobs: int) -> None:
        """Everything, in the order of the entries; what depends on all of them comes last."""
        size = self.head.size
        for number, bundle in enumerate(self._bundles(jobs)):
            self._take(number, min(WIDTH, size - number * WIDTH), bundle)
            progress(min(size, (number + 1) * WIDTH), size)
        for level, hashes in enumerate(self.levels):
            if hashes and level:
                self._compare_tile(level, (size >> 8 * level) // WIDTH, hashes)
        self._judge_root()
        for record, what in self.decisions.end():
            self.report.add(record, what)
        self._note_what_is_gone()
        if self.report.key and not self.report.count:
            self.keys += self.former  # what is signed by the key that is trusted says which came before it
        for notes in self.by_size.values():
            for note in notes:
                self._judge_kept(note)

    def _bundles(self, jobs: int) -> Iterator[Bundle]:
        tiles = -(-self.head.size // WIDTH)
        if jobs < 2 or tiles < FEW_TILES:
            for number in range(tiles):
                yield self.export.bundle(number, min(WIDTH, self.head.size - number * WIDTH))
            return
        yield from read_by_others(self.export, self.head.size, jobs)

    def _note_what_is_gone(self) -> None:
        first, last, size = self.export.first, self.export.last, self.head.size
        if (first, last) != (1, size):
            what = f"entries {first} to {last} of {size}"
            self.report.notes.append(f"the export has {what}; of the others only their hashes")
        told = self.tombstones.emptied()
        if self.emptied > told or (self.emptied < told and (first, last) == (1, size)):
            self.report.add("entries", f"{self.emptied} have lost their bytes, tombstones tell of {told}")
        if self.gone:
            what = "entries and payloads were purged or erased, as entries about retention say"
            self.report.notes.append(f"{self.gone} {what}")
        for ordered in self.tombstones.under_way():
            what = "until it ends, whatever is missing of this person passes for erased"
            self.report.notes.append(f"an erasure is under way (entry {ordered}): {what}")
        if self.left_out:
            self.report.notes.append(f"{self.left_out} values before masking are not part of an export")
        for sequence in self.tombstones.leaves:
            self.report.add(f"tombstones.jsonl, entry {sequence}", "is not an entry of the tree")
        if not self.export.has_payloads:
            self.report.notes.append("the export has no payloads")

    def _take(self, number: int, width: int, bundle: Bundle) -> None:
        start = number * WIDTH
        name = tile_path(f"tile/0/{numbered(number)}", width)
        if bundle.first_at and bundle.first_at < self.at:
            bundle = self.export.bundle(number, width, self.at)  # which entries of it are older
        leaves = bundle.stored or bundle.found
        if bundle.stored is None:
            bundle.add(start, name, "is missing or cut")
        if leaves is None:
            raise CannotVerify(f"{name} is missing or cut: the export is not whole")
        self.at = max(self.at, bundle.last_at)
        self._follow(bundle)
        self._judge_missing(bundle)
        for finding in sorted(bundle.wrong, key=lambda finding: finding.sequence):
            self.report.add(finding.record, finding.what)
        self.report.entries += bundle.entries
        self.report.payloads += bundle.payloads
        self.gone += bundle.emptied
        self.emptied += bundle.emptied
        for sequence in range(start + 1, start + width + 1) if self.tombstones.leaves else ():
            if self.tombstones.leaves.get(sequence) == leaves[sequence - start - 1]:
                del self.tombstones.leaves[sequence]
        for s in [s for s in self.by_size if start < s <= start + width]:
            part = self.tree.copy()
            for leaf in leaves[: s - start]:
                part.append(leaf)
            self.roots[s] = part.root()
        _grow(self.tree, leaves, bundle.root)
        _grow(self.by_entries, bundle.found or leaves, bundle.found_root)
        if bundle.root:
            self._climb(bundle.root)

    def _follow(self, bundle: Bundle) -> None:
        """What entries say of others, each in its turn."""
        for document in bundle.told:
            record, kind = f"entry {document['seq']}", document["kind"]
            try:
                self.tombstones.follow(document)
                if kind == "log.key_rotated":
                    self._rotated(bundle, document)
                elif kind == "record.accepted":
                    self._accepted(document, bundle)
                else:
                    self.decisions.follow(document, bundle)
            except (ValueError, KeyError, TypeError, AttributeError, CannotVerify) as error:
                bundle.add(document["seq"], record, f"does not say what such an entry says ({said(error)})")

    def _accepted(self, document: dict[str, Any], bundle: Bundle) -> None:
        """Which checkpoints were left behind; where that is not in the export, any of their sizes."""
        data, listed = document["data"], None
        reference = document["payloads"].get("given_up")
        if reference is not None and self.export.has_payloads:
            _, content = bundle.contents.get(reference["digest"], ("", b""))
            listed = set(content.decode().splitlines())
        self.given_up.append((int(data["after"]), int(data["kept_size"]), listed))

    def _judge_missing(self, bundle: Bundle) -> None:
        for record, name, document in bundle.missing:
            gone = self.tombstones.took_payload(document["seq"], name, document)
            if gone == "left out":
                self.left_out += 1
            elif gone:
                self.gone += 1
            else:
                bundle.add(document["seq"], record, "is not there, or not with these bytes")

    def _climb(self, root: bytes) -> None:
        """Compute the tiles above, and compare each that is full."""
        if not self.levels:
            self.levels.append([])
        level = 0
        while root:
            level += 1
            if level >= len(self.levels):
                self.levels.append([])
            above = self.levels[level]
            above.append(root)
            if len(above) < WIDTH:
                return
            self._compare_tile(level, self.tree.size // WIDTH ** (level + 1) - 1, above)
            root = perfect_root(above)
            above.clear()

    def _compare_tile(self, level: int, number: int, hashes: list[bytes]) -> None:
        name = tile_path(f"tile/{level}/{numbered(number)}", len(hashes))
        stored = self.export.hashes(name, len(hashes))
        if stored is None:
            self.report.add(name, "is missing or cut")
        elif stored != hashes:
            places = [i for i, (a, b) in enumerate(zip(stored, hashes, strict=True)) if a != b]
            below = (number * WIDTH + places[0]) * WIDTH**level
            what = f"does not fit the hashes below it, from entry {below + 1} on"
            self.report.add(name, what)

    def _rotated(self, bundle: Bundle, document: dict[str, Any]) -> None:
        """A new key counts where one that is trusted has signed for it."""
        data = document["data"]
        new, old = parse_key(data["key"]), parse_key(data["previous"])
        message = f"authz log key\n{data['previous']}\n{data['key']}\n".encode()
        signature = base64.b64decode(data["signature"])
        if not is_signature(old.public, signature, message):
            record = f"entry {document['seq']}"
            bundle.add(document["seq"], record, "the old key has not signed for the new one")
        elif old.text in [key.text for key in self.keys]:
            self.keys.append(new)
        self.former.append(old)

    def _judge_root(self) -> None:
        head = self.head
        if self.tree.root() != head.root:
            if self.by_entries.root() == head.root:
                self.report.add("tile/0", "the entries are those of the checkpoint, its tiles are not")
            else:
                what = "the tree over the entries is not the one that the checkpoint was signed for"
                self.report.add("checkpoint", what)
        elif head.size == 0 and head.root != hashlib.sha256(b"").digest():
            self.report.add("checkpoint", "an empty log has another root")
        self.report.key = self._judge_signature(head)

    def _judge_signature(self, note: Kept) -> str:
        """The key that signed, "" and a finding when none that is known did."""
        by_id = {(key.name, key.id): key for key in self.keys}
        good = ""
        for name, signature in note.signatures:
            key = by_id.get((name, signature[:4]))
            if key is not None and is_signature(key.public, signature[4:], note.text):
                good = key.text
            elif key is not None:
                self.report.add(note.source, f"the signature of {name} is wrong")
                return ""
        if not good:
            self.report.add(note.source, "is not signed by a key that is known")
        return good

    def _judge_kept(self, note: Kept) -> None:
        self.report.checkpoints += 1
        if not self._judge_signature(note):
            return
        root = EMPTY_ROOT if note.size == 0 else self.roots.get(note.size)
        if root == note.root and _origin(note) == _origin(self.head):
            return
        name = f"{note.size} {note.root.hex()}"
        if any(
            after < note.size <= last and (listed is None or name in listed)
            for after, last, listed in self.given_up
        ):
            self.report.notes.append(f"{note.source} (size {note.size}) was given up; an entry says why")
        elif root is None:
            what = f"the log had {note.size} entries then and has {self.head.size} now: its end is missing"
            self.report.add(note.source, what)
        else:
            what = f"the first {note.size} entries are not those that were signed then: the log was rewritten"
            self.report.add(note.source, what)


@dataclass(frozen=True)
class Person:
    """Who did something, by pseudonyms: `names` are their own and those of whoever owns the account.

    `owners` are these alone; `typed` is what somebody types who names this person as an owner.
    """

    names: frozenset[str]
    owners: frozenset[str]
    typed: frozenset[str]

    @classmethod
    def of(cls, data: dict[str, Any]) -> Person:
        """By the data of an entry."""
        owners = frozenset(data.get("owners", ()))
        who = data["voter"] if "voter" in data else data["person"]
        return cls(owners | {who}, owners, frozenset(data.get("typed", ())))

    def is_any_of(self, others: Iterable[Person]) -> bool:
        """Whether this is the same person as one of them."""
        return any(
            self.names & other.names or self.typed & other.owners or other.typed & self.owners
            for other in others
        )


@dataclass
class Asked:
    """What a hold or a grant asks for, and who has said what of it.

    `stages` has for each approval how many votes each stage asks for, and whether who edited may approve;
    None where the payload that says so is not there. `named` are the names that entries have for the bytes,
    `plain` is their SHA-256.
    """

    requester: str
    approvals: set[str]
    stages: dict[str, list[tuple[int, bool]]] | None
    named: set[str] = field(default_factory=set)
    size: int = 0
    plain: str = ""
    uses: int = 0
    until: str = ""
    is_for_one: bool = False
    state: str = "pending"
    votes: dict[str, dict[str, Any]] = field(default_factory=dict)
    editors: list[Person] = field(default_factory=list)

    def has_votes(self) -> bool:
        """Whether those that stand are enough, each by somebody else, in the order of the stages."""
        votes = list(self.votes.values())
        if any(vote["verdict"] != "approve" for vote in votes):
            return False
        if any(vote["is_alone"] for vote in votes):
            return True
        if self.stages is None:
            first = {
                stage.split("/")[0] for v in votes for stage in v["stages"] if stage.split("/")[1] == "0"
            }
            return bool(votes) and self.approvals <= first
        return bool(self.stages) and all(_goes_through(n, s, votes) for n, s in self.stages.items())

    def may_approve(self, person: Person, stages: list[str]) -> bool:
        """Whether four eyes see it: what somebody edited they approve in stages that say so."""
        if not person.is_any_of(self.editors):
            return True
        if not stages or self.stages is None:
            return bool(stages)
        places = [stage.split("/") for stage in stages]
        return all(self.stages[place[0]][int(place[1])][1] for place in places)


def _goes_through(name: str, stages: list[tuple[int, bool]], votes: list[dict[str, Any]]) -> bool:
    left = iter(votes)
    for number, (needed, _) in enumerate(stages):
        counted: list[Person] = []
        for vote in left:
            is_in = not {f"{name}/{number}", f"{name}/{number}/escalated"}.isdisjoint(vote["stages"])
            if is_in and not vote["person"].is_any_of(counted):
                counted.append(vote["person"])
            if len(counted) >= needed:
                break
        else:
            return False
    return True


def _stages(approvals: list[dict[str, Any]]) -> dict[str, list[tuple[int, bool]]]:
    """Of each approval, as the details of holds and grants have them: reviewers, votes, time, more."""
    return {
        approval["name"]: [
            (int(stage[1]), bool(stage[3].get("editor_may_approve")) if len(stage) > 3 else False)
            for stage in approval["stages"]
        ]
        for approval in approvals
    }


class Decisions:
    """Whether what was decided and let through follows from votes that are on record.

    Derived is who voted, how many, for which stages and on which bytes. People are pseudonyms here, and
    whether each vote came in time is not derived: where the record is verified live both is.
    """

    def __init__(self, is_whole: bool) -> None:
        self.is_whole = is_whole
        self.holds: dict[str, Asked] = {}
        self.grants: dict[str, Asked] = {}
        self.used_once: dict[str, tuple[int, int]] = {}
        self.using: tuple[str, str | None] | None = None

    def follow(self, document: dict[str, Any], bundle: Bundle) -> None:
        """The next entry that something follows from; what does not is said in its bundle."""
        kind, data = document["kind"], document["data"]
        if kind.startswith("login."):
            self._login(document, bundle)
            return
        if self.is_whole and (kind == "request.released" or self.using is not None):
            self._released_under_grant(document, bundle)
        if kind == "hold.opened":
            self._opened(document, bundle)
        elif kind == "grant.proposed":
            self._proposed(document, bundle)
        elif kind.startswith("grant."):
            self._of_grant(document, bundle)
        elif data.get("hold"):
            self._of_hold(document, bundle)

    def end(self) -> Iterator[tuple[str, str]]:
        """What is wrong once all entries were followed."""
        if self.is_whole and self.using is not None:
            yield f"grant {self.using[0]}", "has a last use that no release follows"

    def _login(self, document: dict[str, Any], bundle: Bundle) -> None:
        """Assertions, logins and codes are used once each."""
        sequence, data = document["seq"], document["data"]
        at = datetime.fromisoformat(document["at"].replace("Z", "+00:00"))  # noqa: FURB162 - before 3.11
        for digest in data.get("used", ()):
            until, before = self.used_once.get(digest, (0, 0))
            if until > at.timestamp() - SPARE_SECONDS:
                what = f"was used by entry {before}, and by entry {sequence}"
                bundle.add(sequence, f"used once {digest}", what)
            self.used_once[digest] = (int(data["until"]), sequence)

    def _opened(self, document: dict[str, Any], bundle: Bundle) -> None:
        data, forward = document["data"], document["payloads"]["forward"]
        told = _content(document, "detail", bundle)
        hold = Asked(data["person"], set(data.get("approvals", ())), None)
        hold.named = {forward["digest"], data.get("digest", forward["digest"])}
        hold.size = forward["size"]
        if told is not None:
            hold.stages, hold.plain = _stages(told["approvals"]), told["digest"]
            previous = self.holds.get(told.get("previous") or "")
            if previous is not None and REVISED & told.get("answer", {}).get("headers", {}).keys():
                hold.editors += previous.editors
        self.holds[data["hold"]] = hold
        _compare(document, "forward", hold, bundle)

    def _proposed(self, document: dict[str, Any], bundle: Bundle) -> None:
        data = document["data"]
        told = _content(document, "detail", bundle)
        stages = None if told is None else _stages(json.loads(told["terms"])["approvals"])
        grant = Asked(data["person"], set(data["approvals"]), stages)
        grant.uses, grant.until = data["uses"], data["until"]
        grant.is_for_one = told is not None and "caller" in json.loads(told["terms"])["for"]
        self.grants[data["grant"]] = grant

    def _of_hold(self, document: dict[str, Any], bundle: Bundle) -> None:
        sequence, kind, data = document["seq"], document["kind"], document["data"]
        hold = self.holds.get(data["hold"])
        if hold is None:
            if self.is_whole:
                bundle.add(sequence, f"entry {sequence}", "is about a hold that no entry opens")
            return
        wrong = ""
        if kind in ("hold.voted", "hold.break_glass"):
            wrong = _vote(hold, data, data["vote"], is_alone=kind == "hold.break_glass")
            if data["digest"] not in hold.named:
                wrong = wrong or "is a vote on other bytes than its hold has"
        elif kind in ("hold.edited", "hold.responded"):
            wrong = self._edited(hold, document, bundle)
        elif kind == "hold.withdrawn":
            wrong = _withdrawn(hold, data)
        elif kind in ("hold.approved", "hold.rejected"):
            wrong = _decided(hold, kind, data)
        elif kind in ("hold.expired", "hold.superseded", "hold.killed"):
            wrong = "" if hold.state in ("pending", "approved") else "ends a hold that has ended before"
            hold.state = "ended"
        elif kind in ("request.released", "answer.released"):
            wrong = self._released(hold, document, bundle)
        if wrong:
            bundle.add(sequence, f"entry {sequence}", wrong)

    def _edited(self, hold: Asked, document: dict[str, Any], bundle: Bundle) -> str:
        data, forward = document["data"], document["payloads"]["forward"]
        told = _content(document, "detail", bundle)
        wrong = "" if hold.state == "pending" else "edits what was decided before"
        person = Person.of(data)
        if hold.requester in person.names:
            wrong = "is an edit by whoever sent the request"
        hold.votes.clear()
        hold.editors.append(person)
        hold.named, hold.size = {forward["digest"]}, forward["size"]
        hold.plain = "" if told is None else told["digest"]
        _compare(document, "forward", hold, bundle)
        return wrong

    def _released(self, hold: Asked, document: dict[str, Any], bundle: Bundle) -> str:
        is_approved = hold.state == "approved" and document["at"] < hold.until and hold.has_votes()
        hold.state = "released"
        if document["kind"] == "request.released":
            if document["payloads"]["body"]["size"] != hold.size:
                bundle.add(document["seq"], f"entry {document['seq']}", "has other bytes than its hold")
            _compare(document, "body", hold, bundle)
        return "" if is_approved else "releases what is not approved, or was released before"

    def _of_grant(self, document: dict[str, Any], bundle: Bundle) -> None:
        sequence, kind, data = document["seq"], document["kind"], document["data"]
        grant = self.grants.get(data["grant"])
        if kind == "grant.used":
            self.using = (data["grant"], document["session"])
        if grant is None:
            if self.is_whole:
                bundle.add(sequence, f"entry {sequence}", "is about a grant that no entry proposes")
            return
        wrong = ""
        if kind == "grant.voted":
            wrong = _vote(grant, {**data, "verdict": "approve"}, data["act"], is_alone=False)
        elif kind == "grant.created":
            if grant.state != "pending" or not grant.has_votes():
                wrong = "puts a grant in force that has not the votes for it"
            grant.state = "approved"
        elif kind == "grant.revoked":
            grant.state = "ended"
        elif kind == "grant.used":
            grant.size += 1
            if data["number"] != grant.size or grant.size > grant.uses:
                wrong = "uses a grant more often than it was made for, or leaves a use out"
            elif grant.state != "approved" or document["at"] >= grant.until:
                wrong = "uses a grant that is not in force"
            elif "person" in data:
                wrong = _used_by(grant, data)
        if wrong:
            bundle.add(sequence, f"entry {sequence}", wrong)

    def _released_under_grant(self, document: dict[str, Any], bundle: Bundle) -> None:
        """A use and the release that it is for stand next to each other, and neither alone."""
        is_release = document["kind"] == "request.released"
        released = (document["data"].get("grant"), document["session"]) if is_release else (None, None)
        sequence = document["seq"]
        if released[0] is not None and released != self.using:
            bundle.add(sequence, f"entry {sequence}", "is a release under a grant, and no use of it")
        elif self.using is not None and released != self.using:
            bundle.add(sequence, f"entry {sequence}", "is no release, and a use of a grant comes before it")
        self.using = None


def _content(document: dict[str, Any], name: str, bundle: Bundle) -> dict[str, Any] | None:
    """A payload of an entry, which is JSON; None where it is not there."""
    reference = document["payloads"].get(name, {})
    _, content = bundle.contents.get(reference.get("digest", ""), ("", b""))
    return json.loads(content) if content else None


def _compare(document: dict[str, Any], name: str, hold: Asked, bundle: Bundle) -> None:
    """Reviewers were shown these very bytes, and these were released."""
    plain, _ = bundle.contents.get(document["payloads"][name]["digest"], ("", b""))
    if plain and hold.plain and plain != hold.plain:
        sequence = document["seq"]
        bundle.add(sequence, f"entry {sequence}", "has other bytes than reviewers were shown")


def _vote(asked: Asked, data: dict[str, Any], name: str, *, is_alone: bool) -> str:
    wrong = "" if asked.state == "pending" else "is a vote on what was decided before"
    person = Person.of(data)
    if asked.requester in person.names:
        wrong = "is a vote of whoever sent the request"
    elif data["verdict"] == "approve" and not asked.may_approve(person, data["stages"]):
        wrong = "approves what the same person edited or answered"
    told = {part: data[part] for part in ("verdict", "stages")}
    asked.votes[name] = {**told, "is_alone": is_alone, "person": person}
    return wrong


def _used_by(grant: Asked, data: dict[str, Any]) -> str:
    if Person.of(data).is_any_of(vote["person"] for vote in grant.votes.values()):
        return "is a use of a grant by one who voted for it"
    is_for_them = data["person"] == grant.requester or not grant.is_for_one
    return "" if is_for_them else "is a use of a grant that is for somebody else"


def _withdrawn(hold: Asked, data: dict[str, Any]) -> str:
    for vote in data["votes"]:
        if hold.votes.pop(vote, None) is None:
            return "takes a vote back that was not cast before"
    if data["state"] == "pending" and hold.state == "approved":
        hold.state = "pending"
    return ""


def _decided(hold: Asked, kind: str, data: dict[str, Any]) -> str:
    was, hold.until = hold.state, data["deadline"]
    hold.state = "approved" if kind == "hold.approved" else "rejected"
    if data["digest"] not in hold.named:
        return "decides on other bytes than its hold has"
    if was != "pending":
        return "decides on a hold that was decided before"
    if hold.state == "approved":
        return "" if hold.has_votes() else "approves a hold that has not the votes for it"
    is_said = any(vote["verdict"] == "reject" for vote in hold.votes.values())
    return "" if is_said else "rejects a hold without the votes for it"


_export: Export | None = None
"""What a process that helps reads bundles of."""


def read_by_others(export: Export, size: int, jobs: int) -> Iterator[Bundle]:
    """All bundles in order, read by so many processes; a few of them are in memory at a time."""
    tiles = -(-size // WIDTH)
    pool = ProcessPoolExecutor(
        jobs, multiprocessing.get_context("spawn"), _open, (export.folder, export.manifest)
    )
    waiting: deque[Future[list[Bundle]]] = deque()
    try:
        for start in range(0, tiles, TILES_AT_ONCE):
            waiting.append(pool.submit(_read, start, min(tiles, start + TILES_AT_ONCE), size))
            if len(waiting) > 2 * jobs:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool as error:
        why = "a process that helped has ended, perhaps for lack of memory; try --jobs 1"
        raise CannotVerify(why) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _open(folder: Path, manifest: dict[str, Any]) -> None:
    global _export
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the process that has the others
    _export = Export(folder, manifest)


def _read(start: int, end: int, size: int) -> list[Bundle]:
    assert _export is not None
    return [_export.bundle(number, min(WIDTH, size - number * WIDTH)) for number in range(start, end)]


def default_jobs() -> int:
    """As many as there are processors for this process, and at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(MOST_JOBS, len(affinity(0)) if affinity else os.cpu_count() or 1)


def verify_proof(path: Path, keys: Iterable[str]) -> tuple[Report, str]:
    """Verify a C2SP tlog-proof of one entry; what is found, and the entry. Raises `CannotVerify`."""
    report = Report()
    trusted = [parse_key(text) for text in keys]
    if not trusted:
        raise CannotVerify("a proof is verified with the public key: name it with --key")
    try:
        head, _, below = path.read_text("utf-8").partition("\n\n")
        form, extra, place, *hashes = head.split("\n")
        entry = base64.b64decode(extra.removeprefix("extra "), validate=True)
        index = int(place.removeprefix("index "))
        proof = [base64.b64decode(text, validate=True) for text in hashes]
        is_proof = form == PROOF and extra.startswith("extra ") and place == f"index {index}"
        if not is_proof or any(len(node) != 32 for node in proof):
            raise ValueError
    except (OSError, ValueError) as error:
        raise CannotVerify(f"{path} is no proof of an entry") from error
    note = read_note(below, "checkpoint")
    report.origin, report.size, report.root = _origin(note), note.size, note.root.hex()
    by_id = {(key.name, key.id): key for key in trusted}
    for name, signature in note.signatures:
        key = by_id.get((name, signature[:4]))
        if key is not None and is_signature(key.public, signature[4:], note.text):
            report.key = key.text
    if not report.key:
        report.add("checkpoint", "is not signed by a key that is known")
    if not is_included(leaf_hash(entry), index, note.size, proof, note.root):
        report.add(f"entry {index + 1}", "is not in the tree that was signed, or not with these bytes")
    report.entries = 1
    return report, entry.decode("utf-8", "replace")


def is_included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for node in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(node, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, node)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


class Tree:
    """The right edge of a growing RFC 6962 tree: the roots of its perfect subtrees, the largest first."""

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size, self.nodes = size, list(nodes)

    def copy(self) -> Tree:
        """One that grows apart."""
        return Tree(self.size, self.nodes)

    def append(self, node: bytes, level: int = 0) -> None:
        """Add a leaf, or the root of 2^level leaves where the size is a multiple of that."""
        bits = self.size >> level
        self.size += 1 << level
        while bits & 1:
            node = node_hash(self.nodes.pop(), node)
            bits >>= 1
        self.nodes.append(node)

    def root(self) -> bytes:
        """The tree hash over all leaves."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root


EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(row: list[bytes]) -> bytes:
    """The root over as many hashes as a power of two."""
    sha256 = hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
    return row[0]


def _grow(tree: Tree, leaves: list[bytes], root: bytes) -> None:
    if root:
        tree.append(root, level=8)
    else:
        for leaf in leaves:
            tree.append(leaf)


def unbundle(stored: bytes) -> Iterator[bytes]:
    """The entries of a bundle (tlog-tiles): each after its length in two bytes."""
    place = 0
    while place < len(stored):
        end = place + 2 + int.from_bytes(stored[place : place + 2], "big")
        if end > len(stored) or place + 2 > len(stored):
            raise Cut
        yield stored[place + 2 : end]
        place = end


def read_payloads(path: Path, kept: set[int]) -> Iterator[tuple[bytes, int, str, bytes]]:
    """The digest and size of each payload: 32 bytes of salt, 8 of its size, and itself.

    Of one whose size is in `kept` also its SHA-256, and itself where it has at most 16 MiB.
    """
    with path.open("rb") as file:
        while salt := file.read(32):
            told = file.read(8)
            if len(salt) < 32 or len(told) < 8:
                raise Cut
            digest, plain, few = hashlib.sha256(salt), hashlib.sha256(), b""
            left = size = int.from_bytes(told, "big")
            while left:
                content = file.read(min(left, PIECE))
                if not content:
                    raise Cut
                digest.update(content)
                if size in kept:
                    plain.update(content)
                    few += content if size <= MOST_KEPT else b""
                left -= len(content)
            yield digest.digest(), size, plain.hexdigest() if size in kept else "", few


def tile_path(name: str, width: int) -> str:
    """The last tile of a level says how many hashes it has, unless it is full."""
    return name if width == WIDTH else f"{name}.p/{width}"


def numbered(number: int) -> str:
    """Three digits to a folder (tlog-tiles)."""
    name = f"{number % 1000:03d}"
    while number := number // 1000:
        name = f"x{number % 1000:03d}/{name}"
    return name


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, which is written last: without it an export is not whole."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except OSError as error:
        raise CannotVerify(f"{folder} is no whole export: it has no manifest.json") from error
    except ValueError as error:
        raise CannotVerify(f"{folder}/manifest.json is damaged") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CannotVerify(f"{folder} is no export that this verifier knows; it knows {FORMAT}")
    if not all(isinstance(manifest.get(name), int) for name in ("first", "last", "payloads")):
        raise CannotVerify(f"{folder}/manifest.json does not say what the export has")
    return manifest


def read(path: Path, name: str) -> bytes:
    """A small file that every export has."""
    try:
        with path.open("rb") as file:
            return file.read(PIECE)
    except OSError as error:
        raise CannotVerify(f"the export has no {name}") from error


def read_kept(path: Path, report: Report) -> list[Kept]:
    """The checkpoints of a file: one signed note, or a line of JSON with "checkpoint" for each."""
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise CannotVerify(f"{path} cannot be read ({said(error)})") from error
    if not text.startswith("{"):
        return [read_note(text, str(path))]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found.append(read_note(json.loads(line)["checkpoint"], f"{path.name} line {number}"))
        except (ValueError, KeyError, TypeError, CannotVerify):
            report.add(f"{path.name} line {number}", "is no checkpoint")
    return found


def read_note(text: str, source: str) -> Kept:
    """A signed note (C2SP signed-note) around a checkpoint (tlog-checkpoint)."""
    try:
        body, separator, below = text.rpartition("\n\n")
        signatures = []
        for line in below.rstrip("\n").split("\n"):
            dash, name, signature = line.split(" ")
            if dash != "\u2014":
                raise ValueError
            signatures.append((name, base64.b64decode(signature, validate=True)))
        origin, size, root, *_ = body.split("\n")
        if not separator or not origin or str(int(size)) != size or int(size) < 0:
            raise ValueError
        decoded = base64.b64decode(root, validate=True)
        if len(decoded) != 32:
            raise ValueError
        return Kept(source, f"{body}\n".encode(), signatures, int(size), decoded)
    except ValueError:
        raise CannotVerify(f"{source} is no signed checkpoint") from None


def parse_key(text: str) -> Key:
    """A verifier key: name+hash+base64(1, 32 bytes)."""
    try:
        name, id, encoded = text.strip().split("+", 2)
        public = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise CannotVerify("a key is name+hash+base64; this is none") from None
    made = hashlib.sha256(name.encode() + b"\n" + public).digest()[:4]
    if public[:1] != b"\x01" or len(public) != 33 or made.hex() != id:
        raise CannotVerify("the key is damaged, or no Ed25519 key")
    return Key(text.strip(), name, made, public[1:])


def _origin(note: Kept) -> str:
    return note.text.split(b"\n")[0].decode()


def _lines(content: bytes) -> list[str]:
    return [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]


def said(error: Exception) -> str:
    """An error in a word: never with what a record holds."""
    if isinstance(error, OSError):
        return error.strerror or "error"
    return str(error) if isinstance(error, Cut) else type(error).__name__


# Ed25519, RFC 8032 5.1: verification only, so that nothing secret depends on its timing.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def is_signature(public: bytes, signature: bytes, message: bytes) -> bool:
    """RFC 8032 5.1.7: whether [S]B = R + [k]A."""
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = decompress(public), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return equal(multiply(s, BASE), add(r, multiply(k, a)))


def add(p: Point, q: Point) -> Point:
    """RFC 8032 5.1.4, in extended coordinates."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(number: int, point: Point) -> Point:
    """[number]point, by doubling and adding."""
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def equal(p: Point, q: Point) -> bool:
    """The same point, whatever its coordinates are scaled by."""
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def decompress(encoded: bytes) -> Point | None:
    """RFC 8032 5.1.3; None for what is no point, or is not encoded in its one canonical way."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def _base() -> Point:
    point = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    assert point is not None
    return point


BASE = _base()


def show(report: Report, *, as_json: bool) -> None:
    """To standard output."""
    if as_json:
        wrong = [{"record": record, "what": what} for record, what in report.wrong]
        print(json.dumps({**vars(report), "ok": not report.count, "wrong": wrong}, indent=2))
        return
    for note in report.notes:
        print(f"note: {note}")
    for record, what in report.wrong:
        print(f"WRONG  {record}: {what}")
    print(f"log {report.origin}, {report.size} entries, root {report.root}")
    print(f"signed by {report.key or 'no key that is known'}")
    print(
        f"read: {report.entries} entries, {report.payloads} payloads, {report.checkpoints} other checkpoints"
    )
    print("everything fits" if not report.count else f"{report.count} things are wrong")


def say_progress(done: int, size: int) -> None:
    """To standard error, where it is a terminal."""
    if done == size or done % (64 * WIDTH) == 0:
        print(f"\r{done} of {size} entries", end="\n" if done == size else "", file=sys.stderr)


def main() -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify an export of the record.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, metavar="DIR")
    parser.add_argument("--key", action="append", default=[], metavar="VKEY")
    parser.add_argument("--checkpoint", action="append", default=[], type=Path, metavar="FILE")
    parser.add_argument("--proof", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=default_jobs(), metavar="N")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    progress: Progress = say_progress if os.isatty(2) else lambda done, size: None
    try:
        if options.proof is not None:
            report, entry = verify_proof(options.proof, options.key)
            print(entry if not report.count else "the proof does not hold", file=sys.stderr)
        else:
            report = verify(options.folder, options.key, options.checkpoint, progress, options.jobs)
    except CannotVerify as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    show(report, as_json=options.as_json)
    return 1 if report.count else 0


if __name__ == "__main__":
    sys.exit(main())
