"""The rows of `revocations` held against the entries that made them.

A row that has run out may be gone; one that is in force may not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.walk import Seen
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import revocations
from authz_service.store.verify_columns import say_differing
from authz_service.store.verify_payloads import Say, Wanted

_KINDS = frozenset({Kind.TOKEN_REVOKED.value, Kind.TOKEN_RESTORED.value})
_Named = tuple[str, str, str]


class RevocationsCheck:
    """Feed `page` with all entries in order and their payloads, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say
        self._rows: dict[int, dict[str, Any]] = {}
        self._named: dict[_Named, int] = {}

    def page(self, seen: Sequence[Seen], payloads: Mapping[Wanted, bytes]) -> None:
        """Follow what was withdrawn and lifted."""
        for entry in seen:
            if entry.document["kind"] in _KINDS:
                try:
                    self._follow(entry, payloads)
                except (KeyError, ValueError, TypeError):
                    self._say(f"entry {entry.sequence}", "does not say which tokens it is about")

    def end(self, now: int) -> None:
        """Compare all rows; `now` (microseconds) is the time of the last entry."""
        in_force = dict(self._rows)
        for row in self._reader.read(select(revocations)):
            derived = in_force.pop(row.seq, None)
            if derived is None:
                self._say(f"revocation of entry {row.seq}", "has a row, and no entry that is in force")
                continue
            say_differing(self._say, f"revocation of entry {row.seq}", dict(row._mapping), derived)
        for derived in in_force.values():
            if derived["until"] is None or derived["until"] > now:
                self._say(f"revocation of entry {derived['seq']}", "has an entry, and no row")

    def _follow(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> None:
        document, data = entry.document, entry.document["data"]
        for lifted in self._lifted(entry, payloads):
            self._rows.pop(lifted, None)
        if document["kind"] == Kind.TOKEN_RESTORED:
            return
        self._rows[entry.sequence] = {
            "seq": entry.sequence,
            "until": None if data["until"] is None else data["until"] * 1_000_000,
            "at": microseconds(document["at"]),
        }

    def _lifted(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> list[int]:
        """Which entries this one puts out of force; older ones say that only by the name of the tokens."""
        data = entry.document["data"]
        if "lifts" in data:
            return [int(sequence) for sequence in data["lifts"]]
        revoked = json.loads(payloads[entry.sequence, "revoked"])
        name = (data["issuer"], data["by"], revoked["value"])
        before = self._named.pop(name, None)
        if entry.document["kind"] == Kind.TOKEN_REVOKED:
            self._named[name] = entry.sequence
        return [] if before is None else [before]
