"""Payloads held against the entries that account for them: digest, size, and whether they are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from sqlalchemy import func, select

from authz_service.audit.walk import Seen
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import payloads

Say = Callable[[str, str], None]
Wanted = tuple[int, str]
"""The number of an entry, and the name of one of its payloads."""

DERIVED_FROM = frozenset({"caller", "detail", "voter", "reason", "revoked", "operator"})
"""The payloads that columns are derived from."""


class PayloadsCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say
        self.count = 0
        self._expected = 0

    def page(self, seen: Sequence[Seen]) -> dict[Wanted, bytes]:
        """Check what these entries account for; returns those, if good, that columns are derived from."""
        references = self._references(seen)
        found: dict[Wanted, bytes] = {}
        missing = set(references)
        sizes = [(digest, places[0][2]) for digest, places in references.items()]
        for digest, salt, body in self._reader.payloads(sizes):
            places = references[digest]
            missing.discard(digest)
            self.count += 1
            is_good = len(salt) == 32 and sha256(salt + body).digest() == digest
            for sequence, name, size in places:
                if not is_good:
                    self._say(_record(sequence, name), "its bytes are not those that the entry accounts for")
                elif len(body) != size:
                    self._say(_record(sequence, name), f"has {len(body)} bytes, its entry says {size}")
                elif name in DERIVED_FROM:
                    found[sequence, name] = body
        for digest in missing:
            for sequence, name, _ in references[digest]:
                self._say(_record(sequence, name), "is not there")
        self._expected += len(references)
        return found

    def end(self) -> None:
        """There may be no payloads but those that were accounted for."""
        there = self._reader.read(select(func.count()).select_from(payloads)).scalar_one()
        if there > self.count:
            self._say("payloads", f"{there - self.count} are there that no entry accounts for")

    def _references(self, seen: Sequence[Seen]) -> dict[bytes, list[tuple[int, str, int]]]:
        references: dict[bytes, list[tuple[int, str, int]]] = {}
        for entry in seen:
            for name, reference in entry.document["payloads"].items():
                try:
                    digest, size = bytes.fromhex(reference["digest"]), int(reference["size"])
                except (ValueError, KeyError, TypeError):
                    self._say(_record(entry.sequence, name), "is named without digest and size")
                    continue
                references.setdefault(digest, []).append((entry.sequence, name, size))
        return references


def _record(sequence: int, name: str) -> str:
    return f"payload {name} of entry {sequence}"
