"""`authz` as somebody types it who has a browser: what it prints is read while it runs."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from tests.e2e.people import until
from tests.e2e.stack import environment
from tests.oidc.provider_process import Browser, OidcProvider


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody's account: `home` is where logins are kept."""

    home: Path
    provider: OidcProvider

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            command(words), env=self.environment(), capture_output=True, text=True, timeout=60
        )

    def environment(self) -> dict[str, str]:
        """No browser opens by itself."""
        return environment() | {"XDG_CONFIG_HOME": str(self.home), "BROWSER": "true"}

    def log_in(self, name: str, *words: str) -> tuple[int, str, str]:
        """`authz login` with a browser here; exit code, standard output, standard error."""
        with Typed(self, "login", "--storage", "file", *words) as typed:
            url = typed.until_said(r"(http://\S+/auth\?\S+)")
            with Browser(self.provider.issuer) as browser:
                landed = browser.log_in(browser.open(url), name)
            answer = httpx.get(landed, timeout=10)
            assert answer.status_code == 200, answer.text
            return typed.ended()

    def log_in_elsewhere(self, name: str, *words: str) -> tuple[int, str, str]:
        """`authz login --no-browser`, confirmed in a browser."""
        with Typed(self, "login", "--storage", "file", "--no-browser", *words) as typed:
            code = typed.until_said(r"type the code (\S+)")
            with Browser(self.provider.issuer) as browser:
                page = browser.get("/device", {"user_code": code})
                browser.log_in(browser.submit(page, {"user_code": code, "confirm": "yes"}), name)
            return typed.ended()


def command(words: Sequence[str]) -> list[str]:
    """The command line of this checkout."""
    return [sys.executable, "-m", "authz_cli.main", *words]


class Typed:
    """A command that runs; its errors are read as they come."""

    def __init__(self, desk: Desk, *words: str) -> None:
        self._process = subprocess.Popen(
            command(words),
            env=desk.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: list[str] = []
        self._reading = Thread(target=self._read, daemon=True)
        self._reading.start()

    def __enter__(self) -> Typed:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def until_said(self, pattern: str) -> str:
        """What it has printed, as soon as it did."""
        found = until(lambda: re.search(pattern, self.said), f"{pattern}: {self.said}")
        assert found is not None
        return found[1]

    @property
    def said(self) -> str:
        """Standard error so far."""
        return "".join(self._said)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end."""
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        code = self._process.wait(60)
        self._reading.join(10)
        return code, out, self.said

    def _read(self) -> None:
        stream: Any = self._process.stderr
        for line in stream:
            self._said.append(line)
