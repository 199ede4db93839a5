"""A review API in a thread, and a command line that calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import Review, running

from authz_cli.main import cli


@dataclass
class Terminal:
    """Types `authz ...` as somebody."""

    environment: dict[str, str]

    def type(self, *words: str, person: str = "rita", answer: str = "") -> Result:
        environment = self.environment | {"AUTHZ_TOKEN": f"token-{person}"}
        return CliRunner().invoke(cli, list(words), input=answer, env=environment)

    def json(self, *words: str, person: str = "rita") -> Any:
        result = self.type(*words, "--json", person=person)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logins of whoever runs the tests are none of theirs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def review_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def review(review_thread: LoopThread, tmp_path: Path) -> Iterator[Review]:
    folder = tmp_path / "run"
    folder.mkdir()
    with running(review_thread, folder) as review:
        yield review


@pytest.fixture
def terminal(review: Review) -> Terminal:
    return Terminal({"AUTHZ_SERVER": review.address, "TZ": "UTC"})
