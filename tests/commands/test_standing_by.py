"""A worker loads at once, and opens nothing until its standard input ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One whose configuration is not there, which it says as soon as it reads it."""
    command = [sys.executable, "-m", "authz_cli.main", "serve", "--config", str(tmp_path / "none.yaml")]
    command += ["--data-dir", str(tmp_path / "data"), "--workers", "2", "--part", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        until(lambda: takes(process, signal.SIGTERM) or process.poll() is not None)
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def takes(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Whether it has loaded, and has a handler for this signal."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (caught,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) & 1 << (number - 1))


def test_it_stops_while_it_waits_and_has_read_nothing(worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert worker.stderr is not None
    assert worker.stderr.read() == b""


def test_it_goes_on_when_its_input_ends(worker: subprocess.Popen[bytes]) -> None:
    _, said = worker.communicate(timeout=60)  # closes its input
    assert worker.returncode not in (0, -signal.SIGKILL)
    assert b"none.yaml" in said
