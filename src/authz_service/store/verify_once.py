"""The rows of `used_once` held against the entries that made them.

A row that has run out may be gone, and its entry purged; one that is in force may not. What two entries used
while the first was in force is said, whatever the rows say.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from authz_service.audit.draft import OF_LOGINS
from authz_service.audit.entry import microseconds
from authz_service.audit.walk import Seen
from authz_service.core.used_once import UNTIL, USED
from authz_service.store.once_rows import SPARE
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import used_once
from authz_service.store.verify_payloads import Say


class OnceCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say
        self._rows: dict[str, tuple[int, int]] = {}

    def page(self, seen: Sequence[Seen]) -> None:
        """Follow what was used."""
        for entry in seen:
            if entry.document["kind"] in OF_LOGINS:
                try:
                    data = entry.document["data"]
                    self._look_for_others(entry, data[USED])
                    self._rows |= dict.fromkeys(data[USED], (data[UNTIL] * 1000000, entry.sequence))
                except (KeyError, TypeError, ValueError):
                    self._say(f"entry {entry.sequence}", "does not say what it used, or until when")

    def _look_for_others(self, entry: Seen, used: Sequence[str]) -> None:
        """Say what an earlier entry used that could not be forgotten yet."""
        at = microseconds(entry.document["at"])
        for digest in used:
            until, sequence = self._rows.get(digest, (0, 0))
            if until > at - SPARE:
                self._say(
                    f"used once {digest}", f"was used by entry {sequence}, and by entry {entry.sequence}"
                )

    def end(self, now: int) -> None:
        """Compare all rows; `now` (microseconds) is the time of the last entry."""
        expected = dict(self._rows)
        for row in self._reader.read(select(used_once)):
            derived = expected.pop(row.digest, None)
            if derived is None and row.until > now:
                self._say(f"used once {row.digest}", "has a row, and no entry")
            elif derived is not None and derived != (row.until, row.seq):
                self._say(f"used once {row.digest}", "its columns are not what its entry makes of it")
        for digest, (until, sequence) in expected.items():
            if until > now:
                self._say(f"used once {digest}", f"was used by entry {sequence}, and has no row")
