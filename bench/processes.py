"""Starts the programs that are measured, waits for them, reads what they take, and stops them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 120.0
STOP_SECONDS = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


class NotStarted(RuntimeError):
    """A program ended or did not become ready; the message has the end of its log."""


@contextmanager
def program(
    command: Sequence[str],
    *,
    log: Path,
    is_ready: Callable[[], bool],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` within the context, from when it is ready; it dies with this process at the latest.

    It has our environment and folder, unless others are given; raises `NotStarted`.
    """
    own = (sys.executable, "-m", "authz_service.proxy.child", str(os.getpid()))
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*own, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
        )
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


@dataclass(frozen=True, slots=True)
class Usage:
    """What a program, and all that it has started, take: seconds of CPU so far, bytes of memory now and at
    most."""

    cpu_seconds: float
    rss: int
    peak_rss: int


def usage(pid: int, *, has_family: bool = True, cpu: Callable[[int], float] | None = None) -> Usage:
    """Memory that processes share counts for each of them (proc_pid_status(5): VmRSS, VmHWM).

    `cpu` says what a process has used so far, where not `cpu_seconds` does.
    """
    members = family(pid) if has_family else [pid]
    status = [_memory(member) for member in members]
    return Usage(
        cpu_seconds=sum(map(cpu or cpu_seconds, members)),
        rss=sum(now for now, _ in status),
        peak_rss=sum(most for _, most in status),
    )


def cpu_seconds(pid: int) -> float:
    """The time that all threads of a process have run on any CPU; 0 when it has ended.

    In nanoseconds where the kernel keeps schedstat, else in ticks of a hundredth of a second (proc(5)).
    """
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except OSError:
        return _cpu_ticks(pid) / _TICKS


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def family(pid: int) -> list[int]:
    """The process and its descendants."""
    members = [pid]
    for member in members:  # it grows
        members += [int(child) for tasks in _children(member) for child in tasks.split()]
    return members


def parts_of(pid: int) -> dict[str, int]:
    """The processes that `authz serve --workers` has started, by their part; empty for any other program."""
    found = {}
    for member in family(pid):
        words = _command(member)
        if "--part" in words:
            worker = int(words[words.index("--part") + 1])
            found["keeper" if worker < 0 else f"worker {worker}"] = member
    return dict(sorted(found.items()))


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _children(pid: int) -> list[str]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [(thread / "children").read_text() for thread in threads]
    except OSError:
        return []


def _memory(pid: int) -> tuple[int, int]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    now, most = (int(found.get(name, "0").split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def _wait(process: subprocess.Popen[bytes], log: Path, is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:]
            raise NotStarted(f"{log.stem} did not start:\n{said}")
        time.sleep(0.05)
