"""How many processes are worth starting to verify a record, by what its entries and its payloads take."""

from __future__ import annotations

import os
from dataclasses import dataclass

from sqlalchemy import select

from authz_service.audit.entry import decode
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import entries

MOST_JOBS = 8
PLACES = 32
AT_EACH = 32
"""Entries that are looked at, which stand for the others."""

# Seconds of CPU, as measured (docs/decisions/0023): only how they compare matters.
AN_ENTRY = 13e-6
AN_ENTRY_AGAIN = 5e-6
"""For whoever verifies payloads, which are found by reading the entries once more."""
A_PAYLOAD = 12e-6
SAVED = 5e-6
"""Of that, where another process verifies it and says so."""
A_BYTE = 1e-9
WORTHWHILE = 3.0
"""To be saved; some two and a half times what it takes to start a process."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a record has, about: `payloads` and their `size` in bytes are told from some of its entries."""

    entries: int
    payloads: float
    size: float

    @property
    def jobs(self) -> int:
        """One process for the entries, and for the payloads as many as keep up with it, if any pay."""
        if self.payloads * SAVED + self.size * A_BYTE < WORTHWHILE:
            return 1
        others = self.entries * AN_ENTRY_AGAIN + self.payloads * A_PAYLOAD + self.size * A_BYTE
        return 1 + max(1, round(others / (self.entries * AN_ENTRY)))


def default_jobs(reader: RecordReader) -> int:
    """So many that they pay: at most one more than there are processors for this one, and 8."""
    processors = len(os.sched_getaffinity(0))
    return 1 if processors < 2 else min(work_of(reader).jobs, 1 + processors, MOST_JOBS)


def work_of(reader: RecordReader) -> Work:
    """Told from 1,024 entries at most, a few at a time from all over the record."""
    last = reader.largest()
    seen = payloads = size = 0
    for place in range(PLACES):
        first = 1 + max(0, last - AT_EACH) * place // (PLACES - 1)
        query = select(entries.c.body).where(entries.c.seq.between(first, first + AT_EACH - 1))
        for body in reader.read(query).scalars():
            seen += 1
            sizes = _sizes(as_bytes(body))
            payloads, size = payloads + len(sizes), size + sum(sizes)
    return Work(last, payloads * last / max(1, seen), size * last / max(1, seen))


def _sizes(body: bytes) -> list[int]:
    try:
        return [int(reference.size) for reference in decode(body).payloads.values()]
    except (ValueError, TypeError):
        return []  # purged, or damaged, which is said when it is verified
