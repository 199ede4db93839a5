"""Starts the programs that are measured, waits for them, reads their CPU time, and stops them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60.0
STOP_SECONDS = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class NotStarted(RuntimeError):
    """A program ended or did not become ready; the message has the end of its log."""


@contextmanager
def program(
    command: Sequence[str], *, log: Path, is_ready: Callable[[], bool]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` within the context, from when it is ready; it dies with this process at the latest."""
    own = (sys.executable, "-m", "authz_service.proxy.child", str(os.getpid()))
    with log.open("ab") as output:
        process = subprocess.Popen([*own, *command], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait(process, log, is_ready)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """The time that all threads of a process have run on any CPU.

    In nanoseconds where the kernel keeps schedstat, else in ticks of a hundredth of a second (proc(5)).
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except FileNotFoundError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS


def _wait(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:]
            raise NotStarted(f"{log.stem} did not start:\n{said}")
        time.sleep(0.05)
