"""Entries with their payloads, a bundle at a time, each held against its digests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any

from authz_verifier.errors import DAMAGE, said
from authz_verifier.forgotten import OF_LOG, OF_REVIEW, TOMBSTONES, Tombstones
from authz_verifier.tiles import WIDTH, numbered, read_payloads, tile_path, unbundle
from authz_verifier.tree import leaf_hash, perfect_root

Reference = tuple[int, str, int, dict[str, Any]]
"""Of a payload: the number of its entry, its name and size there, and the entry."""
FOLLOWED = OF_LOG | {
    "request.refused",
    "request.released",
    "answer.released",
    "login.accepted",
    "login.completed",
}
"""Kinds of entries that something follows from for others, beside those of reviews and of tombstones."""
JUDGED_BY = {
    "hold.opened": ("forward", "detail"),
    "hold.edited": ("forward", "detail"),
    "hold.responded": ("forward", "detail"),
    "grant.proposed": ("detail",),
    "request.released": ("body",),
    "record.accepted": ("given_up",),
}
"""The payloads that these are judged by."""


@dataclass
class Bundle:
    """What up to 256 entries and their payloads say by themselves; any process may find it out.

    `stored` are the hashes of their tile, `found` those of their bytes; None where these cannot be read.
    `wrong` has, in no order, the number of an entry, the record there and what is wrong with it.
    `told` are the entries that something follows from for others; `contents` has of payloads that these are
    judged by, by digest, the SHA-256 and the bytes, the latter if they are few. `missing` are payloads.
    """

    stored: list[bytes] | None = None
    found: list[bytes] | None = None
    wrong: list[tuple[int, str, str]] = field(default_factory=list)
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

    def add(self, sequence: int, what: str, record: str = "") -> None:
        """One more thing that is wrong: with the entry, or with the record that is named. "" is nothing."""
        if what:
            self.wrong.append((sequence, record or f"entry {sequence}", what))


class Export:
    """The files of an export, read a bundle at a time."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder, self.manifest = folder, manifest
        self.first, self.last = manifest["first"], manifest["last"]
        self.has_payloads = manifest["payloads"]
        self.tombstones = Tombstones(folder)

    def bundles(self, numbers: Iterable[int], size: int) -> Iterator[Bundle]:
        """Those with these numbers, of a log of this size."""
        for number in numbers:
            yield self.bundle(number, min(WIDTH, size - number * WIDTH))

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
            of_log = self.tombstones.of_log
            bundle.told = [document for document in of_log if start < document["seq"] <= start + width]
            return None
        name = tile_path(f"tile/entries/{numbered(number)}", width)
        try:
            bodies = list(unbundle((self.folder / name).read_bytes()))
        except (OSError, ValueError) as error:
            what = f"entries {start + 1} to {start + width} cannot be read ({said(error)})"
            bundle.add(start + 1, what, name)
            return None
        if len(bodies) != width:
            bundle.add(start + 1, f"has {len(bodies)} entries, expected {width}", name)
            return None
        found = [leaf_hash(body) for body in bodies]
        stored = bundle.stored or found
        payloads: dict[bytes, list[Reference]] = {}
        for place, body in enumerate(bodies):
            sequence = start + place + 1
            if not body and bundle.stored is not None and self.tombstones.took_entry(sequence):
                found[place] = stored[place]
                bundle.emptied += 1
                continue
            if found[place] != stored[place]:
                bundle.add(sequence, "its bytes are not those of the tree")
            try:
                self._entry(bundle, sequence, body, payloads)
            except DAMAGE as error:
                bundle.add(sequence, f"is no entry ({said(error)})")
        if self.has_payloads:
            self._payloads(bundle, number, payloads)
        bundle.entries = width
        return found

    def _entry(
        self, bundle: Bundle, sequence: int, body: bytes, payloads: dict[bytes, list[Reference]]
    ) -> None:
        document = json.loads(body)
        at, kind, data, session = document["at"], document["kind"], document["data"], document["session"]
        if document["v"] != 1:
            bundle.add(sequence, f"has the format {document['v']!r}, which this verifier does not know")
            return
        if not (isinstance(kind, str) and isinstance(data, dict) and isinstance(session, (str, NoneType))):
            raise TypeError
        if document["seq"] != sequence:
            bundle.add(sequence, f"says that it is number {document['seq']}")
        if at < bundle.last_at:
            bundle.add(sequence, f"is older than the one before it: {at}")
        else:
            bundle.last_at = at
        bundle.first_at = min(bundle.first_at or at, at)
        if self.tombstones.purges and self.tombstones.says_taken(sequence, document):
            bundle.add(sequence, "has bytes, and a tombstone says that they were taken")
        if kind in TOMBSTONES and sequence not in self.tombstones.leaves:
            bundle.add(sequence, "is not in tombstones.jsonl, which has all of its kind")
        for name, reference in document["payloads"].items():
            told = (sequence, name, int(reference["size"]), document)
            payloads.setdefault(bytes.fromhex(reference["digest"]), []).append(told)
        if kind in FOLLOWED or kind.startswith(OF_REVIEW) or self.tombstones.concerns(kind, data):
            bundle.told.append({**document, "seq": sequence})

    def _payloads(self, bundle: Bundle, number: int, expected: dict[bytes, list[Reference]]) -> None:
        name, start = f"payloads/{numbered(number)}", number * WIDTH + 1
        missing = dict(expected)
        wanted = judged_by(bundle.told)
        try:
            for digest, size, plain, content in read_payloads(self.folder / name, set(wanted.values())):
                if digest not in expected:
                    what = f"holds a payload that no entry of its bundle accounts for ({size} bytes)"
                    bundle.add(start, what, name)
                    continue
                missing.pop(digest, None)
                bundle.payloads += 1
                if digest.hex() in wanted:
                    bundle.contents[digest.hex()] = (plain, content)
                for reference in expected[digest]:
                    self._judge_payload(bundle, reference, size)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            bundle.add(start, f"cannot be read to its end ({said(error)})", name)
        for references in missing.values():
            for sequence, of, _, document in references:
                known = {part: document[part] for part in ("kind", "session", "data")}
                bundle.missing.append((f"payload {of} of entry {sequence}", of, {**known, "seq": sequence}))

    def _judge_payload(self, bundle: Bundle, reference: Reference, size: int) -> None:
        sequence, name, told, document = reference
        record = f"payload {name} of entry {sequence}"
        if self.tombstones.purges and self.tombstones.purged_payload(sequence, name, document):
            bundle.add(sequence, "is there, and a tombstone says that it was taken", record)
        if told != size:
            bundle.add(sequence, f"has {size} bytes, its entry says {told}", record)


def judged_by(documents: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The payloads that these entries are judged by: digests and sizes."""
    found = {}
    for document in documents:
        if document["kind"] == "request.released" and not document["data"].get("hold"):
            continue
        for name in JUDGED_BY.get(document["kind"], ()):
            if name in document["payloads"]:
                reference = document["payloads"][name]
                found[reference["digest"]] = int(reference["size"])
    return found
