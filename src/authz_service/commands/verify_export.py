#!/usr/bin/env python3
"""Verifies an export of the record, with Python's standard library alone and without a network.

    python3 verify.py [DIR] [--key VKEY]... [--checkpoint FILE]... [--json]
    python3 verify.py --proof FILE --key VKEY

DIR is the export, by default the directory of this file. VKEY is the log's public key as you were given
it (name+hash+base64); without it the export's own key is believed, which shows that the export fits
together, not whose it is. FILE is a checkpoint that was kept elsewhere: what was cut off or rewritten
since is found against it, and against nothing else.

With --proof it verifies one entry, as `authz audit prove` shows it, and prints it.

Exit code 0: everything fits. 1: something does not, and is named. 2: it could not be verified.

It is one file, and imports nothing of the program that wrote the export, since it goes with each of them.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = "authz-export/1"
PROOF = "c2sp.org/tlog-proof@v1"
WIDTH = 256
MOST_LISTED = 10_000
PIECE = 1 << 20
STANDING = {
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
) -> Report:
    """Verify the export in `folder`; `progress` is told how many of how many entries are done.

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
    walk = Walk(folder, manifest, head, report, trusted, kept)
    walk.run(progress)
    return report


class Tombstones:
    """What entries about retention say was let go of; each is held against the tree like any other.

    They go with an export apart from the others, since they account for what came before them.
    """

    def __init__(self, folder: Path) -> None:
        self.leaves: dict[int, bytes] = {}
        self.purges: list[dict[str, Any]] = []
        self.erased: dict[str, int] = {}
        self.callers: dict[str, str] = {}
        try:
            lines = (folder / "tombstones.jsonl").read_bytes().splitlines()
            for line in lines:
                document = json.loads(line)
                self.leaves[document["seq"]] = leaf_hash(line)
                self._take(document["seq"], document["kind"], document["data"])
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
        return any(
            p["class"] == "entries"
            and (sequence < p["seq"] if p["only"] else p["first"] <= sequence <= p["last"])
            for p in self.purges
        )

    def says_taken(self, sequence: int, document: dict[str, Any]) -> bool:
        """Whether a purge of entries took this one, whose bytes are there."""
        session = document["session"]
        return document["kind"] not in STANDING and any(
            p["class"] == "entries"
            and session not in p["but"]
            and (
                session in p["only"] and sequence < p["seq"]
                if p["only"]
                else p["first"] <= sequence <= p["last"]
            )
            for p in self.purges
        )

    def emptied(self) -> int:
        """How many entries have lost their bytes: what covers one says nothing of its session."""
        return sum(p["entries"] for p in self.purges if p["class"] == "entries")

    def took_payload(self, sequence: int, name: str, document: dict[str, Any]) -> str:
        """Why a payload of this entry is not there: `purged`, `left out`, `erased` as far as can be known."""
        session, kind = document["session"], document["kind"]
        if kind in STANDING:
            subject = document["data"].get(OF_STANDING.get(name, ""))
            return self._erased(sequence, subject if isinstance(subject, str) else None)
        if self._purged_payload(sequence, name, document):
            return "purged"
        if name == ORIGINAL:
            return "left out"
        if kind.startswith("hold.") and name == "voter":
            subject = document["data"].get("voter")
        elif kind == "record.exported":
            subject = document["data"].get("reader")
        elif kind.startswith("login."):
            subject = document["data"].get("caller")
        elif kind in ("session.read", "session.searched", "session.killed"):
            # About whoever did that, whom no entry names: it may be any of those who were erased.
            subject = max(self.erased, key=lambda name: self.erased[name], default=None)
        else:
            subject = self.callers.get(session)
        return self._erased(sequence, subject)

    def _erased(self, sequence: int, subject: str | None) -> str:
        return "erased" if subject and sequence < self.erased.get(subject, 0) else ""

    def _purged_payload(self, sequence: int, name: str, document: dict[str, Any]) -> bool:
        session = document["session"]
        taken_with = ["payloads", "entries", "originals" if name == ORIGINAL else ""]
        if document["kind"] == "policy.activated":
            taken_with = ["entries"]
        return any(
            sequence < p["seq"]
            and p["class"] in taken_with
            and (session in p["only"] if p["only"] else p["first"] <= sequence <= p["last"])
            and session not in p["but"]
            for p in self.purges
        )

    def _take(self, sequence: int, kind: str, data: dict[str, Any]) -> None:
        if kind == "record.purged":
            told = {"seq": sequence, "entries": int(data["entries"])}
            self.purges.append({**data, **told, "only": set(data["only"]), "but": set(data["but"])})
        elif kind == "record.erasure_ordered":
            for subject in (data["subject"], *data.get("also", ())):
                self.erased[subject] = sequence


class Walk:
    """One pass over the tiles, the entries and the payloads of an export."""

    def __init__(
        self,
        folder: Path,
        manifest: dict[str, Any],
        head: Kept,
        report: Report,
        keys: list[Key],
        kept: list[Kept],
    ) -> None:
        self.folder, self.head, self.report, self.keys = folder, head, report, keys
        self.first, self.last = manifest["first"], manifest["last"]
        self.has_payloads = manifest["payloads"]
        self.by_size: dict[int, list[Kept]] = {}
        for note in kept:
            self.by_size.setdefault(note.size, []).append(note)
        self.tree, self.by_entries = Tree(), Tree()
        self.levels: list[list[bytes]] = []
        self.roots: dict[int, bytes] = {}
        self.at = ""
        self.former: list[Key] = []
        self.given_up: list[tuple[int, int]] = []
        self.tombstones = Tombstones(folder)
        self.gone = self.emptied = self.left_out = 0

    def run(self, progress: Progress) -> None:
        """Everything, in the order of the entries; what depends on all of them comes last."""
        size = self.head.size
        for number in range(-(-size // WIDTH)):
            self._tile(number, min(WIDTH, size - number * WIDTH))
            progress(min(size, (number + 1) * WIDTH), size)
        for level, hashes in enumerate(self.levels):
            if hashes and level:
                self._compare_tile(level, (size >> 8 * level) // WIDTH, hashes)
        self._judge_root()
        if (self.first, self.last) != (1, size):
            what = f"entries {self.first} to {self.last} of {size}"
            self.report.notes.append(f"the export has {what}; of the others only their hashes")
        told = self.tombstones.emptied()
        if self.emptied > told or (self.emptied < told and (self.first, self.last) == (1, size)):
            self.report.add("entries", f"{self.emptied} have lost their bytes, tombstones tell of {told}")
        if self.gone:
            what = "entries and payloads were purged or erased, as entries about retention say"
            self.report.notes.append(f"{self.gone} {what}")
        if self.left_out:
            self.report.notes.append(f"{self.left_out} values before masking are not part of an export")
        for sequence in self.tombstones.leaves:
            self.report.add(f"tombstones.jsonl, entry {sequence}", "is not an entry of the tree")
        if not self.has_payloads:
            self.report.notes.append("the export has no payloads")
        if self.report.key and not self.report.count:
            self.keys += self.former  # what is signed by the key that is trusted says which came before it
        for notes in self.by_size.values():
            for note in notes:
                self._judge_kept(note)

    def _tile(self, number: int, width: int) -> None:
        start = number * WIDTH
        name = tile_path(f"tile/0/{numbered(number)}", width)
        stored = self._hashes(name, width)
        found = self._entries(number, width, stored)
        leaves = stored or found
        if stored is None:
            self.report.add(name, "is missing or cut")
        if leaves is None:
            raise CannotVerify(f"{name} is missing or cut: the export is not whole")
        for sequence in range(start + 1, start + width + 1):
            if self.tombstones.leaves.get(sequence) == leaves[sequence - start - 1]:
                del self.tombstones.leaves[sequence]
        sizes = [s for s in self.by_size if start < s <= start + width]
        for s in sizes:
            part = self.tree.copy()
            for leaf in leaves[: s - start]:
                part.append(leaf)
            self.roots[s] = part.root()
        self._grow(self.tree, leaves)
        self._grow(self.by_entries, found or leaves)
        self._climb(leaves)

    def _grow(self, tree: Tree, leaves: list[bytes]) -> None:
        if len(leaves) == WIDTH:
            tree.append(perfect_root(leaves), level=8)
        else:
            for leaf in leaves:
                tree.append(leaf)

    def _climb(self, leaves: list[bytes]) -> None:
        """Compute the tiles above, and compare each that is full."""
        level, row = 0, leaves
        while len(row) == WIDTH:
            level += 1
            if level >= len(self.levels):
                self.levels.append([])
                if level == 1:
                    self.levels.append([])
            above = self.levels[level]
            above.append(perfect_root(row))
            if len(above) < WIDTH:
                return
            self._compare_tile(level, self.tree.size // WIDTH ** (level + 1) - 1, above)
            row = list(above)
            above.clear()

    def _compare_tile(self, level: int, number: int, hashes: list[bytes]) -> None:
        name = tile_path(f"tile/{level}/{numbered(number)}", len(hashes))
        stored = self._hashes(name, len(hashes))
        if stored is None:
            self.report.add(name, "is missing or cut")
        elif stored != hashes:
            places = [i for i, (a, b) in enumerate(zip(stored, hashes, strict=True)) if a != b]
            below = (number * WIDTH + places[0]) * WIDTH**level
            what = f"does not fit the hashes below it, from entry {below + 1} on"
            self.report.add(name, what)

    def _hashes(self, name: str, width: int) -> list[bytes] | None:
        try:
            stored = (self.folder / name).read_bytes()
        except OSError:
            return None
        if len(stored) != 32 * width:
            return None
        return [stored[i : i + 32] for i in range(0, len(stored), 32)]

    def _entries(self, number: int, width: int, stored: list[bytes] | None) -> list[bytes] | None:
        """The leaf hashes of a bundle's entries, which are read; None where the export has none."""
        start = number * WIDTH
        if start + width < self.first or start >= self.last:
            return None
        name = tile_path(f"tile/entries/{numbered(number)}", width)
        try:
            bodies = list(unbundle((self.folder / name).read_bytes()))
        except (OSError, ValueError) as error:
            self.report.add(name, f"entries {start + 1} to {start + width} cannot be read ({said(error)})")
            return None
        if len(bodies) != width:
            self.report.add(name, f"has {len(bodies)} entries, expected {width}")
            return None
        found = [leaf_hash(body) for body in bodies]
        payloads: dict[bytes, list[tuple[str, int, str]]] = {}
        for offset, body in enumerate(bodies):
            if not body and stored is not None and self.tombstones.took_entry(start + offset + 1):
                found[offset] = stored[offset]
                self.gone += 1
                self.emptied += 1
                continue
            if stored is not None and found[offset] != stored[offset]:
                self.report.add(f"entry {start + offset + 1}", "its bytes are not those of the tree")
            self._entry(start + offset + 1, body, payloads)
        if self.has_payloads:
            self._payloads(number, payloads)
        self.report.entries += width
        return found

    def _entry(self, sequence: int, body: bytes, payloads: dict[bytes, list[tuple[str, int, str]]]) -> None:
        record = f"entry {sequence}"
        try:
            document = json.loads(body)
            at, kind = document["at"], document["kind"]
            if document["v"] != 1:
                self.report.add(
                    record, f"has the format {document['v']!r}, which this verifier does not know"
                )
                return
            if document["seq"] != sequence:
                self.report.add(record, f"says that it is number {document['seq']}")
            if at < self.at:
                self.report.add(record, f"is older than the one before it: {at}")
            self.at = max(self.at, at)
            if self.tombstones.says_taken(sequence, document):
                self.report.add(record, "has bytes, and a tombstone says that they were taken")
            self.tombstones.follow(document)
            for name, reference in document["payloads"].items():
                digest = bytes.fromhex(reference["digest"])
                gone = self.tombstones.took_payload(sequence, name, document)
                told = (f"payload {name} of {record}", reference["size"], gone)
                payloads.setdefault(digest, []).append(told)
            if kind == "log.key_rotated":
                self._rotated(record, document["data"])
            if kind == "record.accepted":
                data = document["data"]
                self.given_up.append((int(data["after"]), int(data["kept_size"])))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, CannotVerify) as error:
            self.report.add(record, f"is no entry ({said(error)})")

    def _rotated(self, record: str, data: dict[str, Any]) -> None:
        """A new key counts where one that is trusted has signed for it."""
        new, old = parse_key(data["key"]), parse_key(data["previous"])
        message = f"authz log key\n{data['previous']}\n{data['key']}\n".encode()
        signature = base64.b64decode(data["signature"])
        if not is_signature(old.public, signature, message):
            self.report.add(record, "the old key has not signed for the new one")
        elif old.text in [key.text for key in self.keys]:
            self.keys.append(new)
        self.former.append(old)

    def _payloads(self, number: int, expected: dict[bytes, list[tuple[str, int, str]]]) -> None:
        name = f"payloads/{numbered(number)}"
        missing = dict(expected)
        try:
            for digest, size in read_payloads(self.folder / name):
                references = expected.get(digest)
                if references is None:
                    self.report.add(
                        name, f"holds a payload that no entry of its bundle accounts for ({size} bytes)"
                    )
                    continue
                missing.pop(digest, None)
                self.report.payloads += 1
                for record, told, gone in references:
                    if gone == "purged":
                        self.report.add(record, "is there, and a tombstone says that it was taken")
                    if told != size:
                        self.report.add(record, f"has {size} bytes, its entry says {told}")
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            self.report.add(name, f"cannot be read to its end ({said(error)})")
        for references in missing.values():
            for record, _, gone in references:
                if gone == "left out":
                    self.left_out += 1
                elif gone:
                    self.gone += 1
                else:
                    self.report.add(record, "is not there, or not with these bytes")

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
        if any(after < note.size <= last for after, last in self.given_up):
            self.report.notes.append(f"{note.source} (size {note.size}) was given up; an entry says why")
        elif root is None:
            what = f"the log had {note.size} entries then and has {self.head.size} now: its end is missing"
            self.report.add(note.source, what)
        else:
            what = f"the first {note.size} entries are not those that were signed then: the log was rewritten"
            self.report.add(note.source, what)


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


def unbundle(stored: bytes) -> Iterator[bytes]:
    """The entries of a bundle (tlog-tiles): each after its length in two bytes."""
    place = 0
    while place < len(stored):
        end = place + 2 + int.from_bytes(stored[place : place + 2], "big")
        if end > len(stored) or place + 2 > len(stored):
            raise ValueError("it is cut")
        yield stored[place + 2 : end]
        place = end


def read_payloads(path: Path) -> Iterator[tuple[bytes, int]]:
    """The digest and size of each payload: 32 bytes of salt, 8 of its size, and itself."""
    with path.open("rb") as file:
        while salt := file.read(32):
            size = file.read(8)
            if len(salt) < 32 or len(size) < 8:
                raise ValueError("it is cut")
            digest, left = hashlib.sha256(salt), int.from_bytes(size, "big")
            while left:
                piece = file.read(min(left, PIECE))
                if not piece:
                    raise ValueError("it is cut")
                digest.update(piece)
                left -= len(piece)
            yield digest.digest(), int.from_bytes(size, "big")


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
    return (error.strerror or "error") if isinstance(error, OSError) else type(error).__name__


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
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    progress: Progress = say_progress if os.isatty(2) else lambda done, size: None
    try:
        if options.proof is not None:
            report, entry = verify_proof(options.proof, options.key)
            print(entry if not report.count else "the proof does not hold", file=sys.stderr)
        else:
            report = verify(options.folder, options.key, options.checkpoint, progress)
    except CannotVerify as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return 2
    show(report, as_json=options.as_json)
    return 1 if report.count else 0


if __name__ == "__main__":
    sys.exit(main())
