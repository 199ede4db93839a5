"""Long exports: memory that does not grow with the number of sessions, and progress on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_session

from authz_service.audit.draft import EntryDraft, Kind

BODY = b'{"messages": "%s"}' % (b"x" * 100_000)
FEW, MANY = 50, 450
"""The larger export is 40 MB longer."""
GROWTH = 8 * 1024  # KiB: pages of a list, and what an allocator keeps

# The peak of what was resident, which exec begins anew, unlike getrusage.
EXPORT = """
import sys
from authz_cli.main import cli
cli(["session", "export", *sys.argv[1:]], standalone_mode=False)
[peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(peak)
"""


def record(review: Review, sessions: int) -> None:
    names = [f"ses_{number:04}" for number in range(sessions)]
    review.store.past = {name: make_session(name) for name in names}
    review.store.recorded = [EntryDraft(Kind.REQUEST_RELEASED, name, {}, {"body": BODY}) for name in names]


def export(terminal: Terminal, form: str, output: Path) -> tuple[int, str]:
    """The peak of its memory in KiB, and what it said on a terminal meanwhile."""
    screen, end = pty.openpty()
    words = ["--format", form, "-o", str(output)]
    environment = {**os.environ, **terminal.environment, "AUTHZ_TOKEN": "token-ada"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", EXPORT, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=end,
            env=environment,
            timeout=120,
        )
        said = os.read(screen, 65536).decode()
    finally:
        os.close(end)
        os.close(screen)
    assert done.returncode == 0, said
    return int(done.stdout), said


@pytest.mark.parametrize("form", ["jsonl", "har", "otlp", "ocsf"])
def test_an_export_of_nine_times_as_much_takes_no_more_memory(
    terminal: Terminal, review: Review, tmp_path: Path, form: str
) -> None:
    peaks = []
    for sessions in (FEW, MANY):
        record(review, sessions)
        peak, said = export(terminal, form, tmp_path / f"{sessions}.{form}")
        peaks.append(peak)
        assert f"\r{sessions} sessions" in said
        assert "\r25 sessions" in said
    sizes = [(tmp_path / f"{sessions}.{form}").stat().st_size for sessions in (FEW, MANY)]
    assert sizes[1] > 8 * sizes[0]
    assert peaks[1] - peaks[0] < GROWTH, f"KiB: {peaks}"
