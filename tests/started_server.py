"""A server of somebody else's, started for a test, waited for, and ended."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

START_SECONDS = 120.0
END_SECONDS = 20.0


@dataclass(slots=True)
class StartedServer:
    """One process; what it says goes into the log."""

    name: str
    ready_url: str
    """Answers 200 when the server is ready."""
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, command: Sequence[str], *, without: str, cwd: Path | None = None) -> None:
        """Run it until it is ready; variables that begin with `without` do not reach it."""
        env = {key: value for key, value in os.environ.items() if not key.startswith(without)}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=cwd
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise AssertionError(f"{self.name} did not start:\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)

    def end(self) -> None:
        """Ask it to end, and end it when it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self.ready_url, timeout=5).status_code == 200
        except httpx.TransportError:
            return False
