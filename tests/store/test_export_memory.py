"""An export of a long record takes no more memory than one of a short record, whatever was purged from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.store.forgotten import KEY

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.forgotten import SESSION

FEW = 6_000
MANY = {"sqlite": 100_000, "postgresql": 50_000}  # which takes longer to fill
TOMBSTONES = 3
"""One entry in so many is one."""
NOTE = "record.keep.payloads: 90d, " + "x" * 900
GROWTH = 12 * 1024
"""KiB: the tombstones of the longer record alone have 30 MiB more, half of that on PostgreSQL."""

# The peak of what was resident, which exec begins anew, unlike getrusage.
EXPORT = """
import sys
from pathlib import Path
from authz_service.commands.audit_export import Wanted, export
from authz_service.store.record_reader import reading
url, folder, key = sys.argv[1:]
with reading(url) as reader:
    done = export(reader, Path(folder), Wanted([key], 1, reader.largest()), lambda done, size: None)
[peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(done.entries, peak)
"""


def drafts(first: int, last: int) -> list[EntryDraft]:
    tombstone = EntryDraft(Kind.RECORD_PURGED, SESSION, {"class": "payloads", "policy": NOTE})
    rest = [EntryDraft(Kind.SERVICE_STARTED, data={"version": f"{number}"}) for number in range(first, last)]
    return [tombstone if number % TOMBSTONES == 0 else rest[number - first] for number in range(first, last)]


def test_an_export_takes_no_more_memory_of_many_entries_and_tombstones_than_of_few(
    place: Any, run: Any, tmp_path: Path
) -> None:
    async def fill(first: int, last: int) -> None:
        async with place.store(signer=KEY, is_first_signer=first == 0, patience=60.0) as store:
            for start in range(first, last, 2000):
                await store.append(*drafts(start, min(start + 2000, last)))

    peaks = []
    many = MANY[place.url.partition(":")[0]]
    for first, last in ((0, FEW), (FEW, many)):
        run(fill(first, last))
        folder = tmp_path / f"{last}"
        command = [sys.executable, "-c", EXPORT, place.url, str(folder), str(KEY.vkey)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
        entries, peak = map(int, done.stdout.split())
        assert entries == last
        with (folder / "tombstones.jsonl").open("rb") as told:
            assert sum(1 for _ in told) == len(range(0, last, TOMBSTONES))
        peaks.append(peak)
    assert peaks[1] - peaks[0] < GROWTH, f"KiB: {peaks}"
