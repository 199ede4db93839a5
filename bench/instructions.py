"""How many instructions programs execute in user space, counted by `perf stat`.

Unlike CPU time it hardly depends on what else the machine does: two runs differ by what the programs did.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from bench.processes import family

_EVENT = "instructions:u"
_SECONDS = 10.0


class NotCounted(RuntimeError):
    """`perf` is missing, may not count here (perf_event_paranoid), or the program has ended."""


class Counter:
    """Counts one program and what it has started, between `start` and `stop`."""

    def __init__(self, pid: int) -> None:
        perf = shutil.which("perf")
        if perf is None:
            raise NotCounted("there is no perf here")
        (control, ours), (theirs, acknowledged) = os.pipe(), os.pipe()
        pids = ",".join(map(str, family(pid)))
        options = ("--delay", "-1", "--control", f"fd:{control},{acknowledged}", "-x", ",")
        self._perf = subprocess.Popen(
            (perf, "stat", *options, "-e", _EVENT, "-p", pids),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(control, acknowledged),
        )
        os.close(control)
        os.close(acknowledged)
        self._control, self._acknowledged = os.fdopen(ours, "wb", buffering=0), os.fdopen(theirs, "rb")

    def start(self) -> None:
        """Count from here on; it is counting when this returns."""
        self._command(b"enable\n")

    def stop(self) -> int:
        """Count no more; how many there were. Raises `NotCounted`."""
        self._command(b"disable\n")
        self._perf.send_signal(signal.SIGINT)
        _, said = self._perf.communicate(timeout=_SECONDS)
        for line in said.decode().splitlines():
            number, _, rest = line.partition(",")
            if _EVENT in rest and number.isdigit():
                return int(number)
        raise NotCounted(f"perf said {said.decode()[:200]!r}")

    def close(self) -> None:
        """Ends perf, if it still runs."""
        self._perf.kill()
        self._perf.communicate()
        self._control.close()
        self._acknowledged.close()

    def _command(self, command: bytes) -> None:
        try:
            self._control.write(command)
        except BrokenPipeError:
            raise NotCounted("perf has ended") from None
        if not self._acknowledged.readline().endswith(b"ack\n"):
            raise NotCounted("perf has ended")


@contextmanager
def counters(pids: Mapping[str, int]) -> Iterator[Mapping[str, Counter]]:
    """One for each program, by its name; raises `NotCounted`."""
    with ExitStack() as stack:
        found = {}
        for name, pid in pids.items():
            found[name] = Counter(pid)
            stack.callback(found[name].close)
        yield found
