"""What a signal asks of `authz serve` is done, also while it starts."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from authz_service.app import ServeSettings, Serving
from authz_service.commands.deferred import Deferred
from authz_service.commands.serve import _serve
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.runtime.gateway import Ending


class Reloaded:
    """A service that notes that it was asked to read its file again."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.ending: Ending | None = None

    async def reload(self) -> None:
        """As `Service.reload`."""
        self.asked.set()

    def ends(self, ending: Ending) -> None:
        """As `Service.ends`."""
        self.ending = ending


@pytest.fixture(autouse=True)
def ignored() -> Iterator[None]:
    """Signals as `authz serve` leaves them before it can take them."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGUSR2)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_reload_that_comes_while_it_starts_is_done_once_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        service = Reloaded()

        @asynccontextmanager
        async def running(_settings: ServeSettings) -> AsyncIterator[tuple[Reloaded, Serving]]:
            os.kill(os.getpid(), signal.SIGHUP)  # the file has been read; now the database is opened
            await asyncio.sleep(0)
            assert not service.asked.is_set()
            yield service, Serving(review="", metrics="")

        monkeypatch.setattr("authz_service.app.running", running)
        settings = ServeSettings(tmp_path / "authz.yaml", DataDir.open(tmp_path / "data"), "")
        serving = asyncio.create_task(_serve(settings))
        try:
            await asyncio.wait_for(service.asked.wait(), 60)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            await serving

    asyncio.run(scenario())


def test_a_process_of_several_that_is_to_leave_while_it_starts_leaves_envoy_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one says of itself whose work in the background has failed."""

    async def scenario() -> None:
        service = Reloaded()

        @asynccontextmanager
        async def running(_settings: ServeSettings) -> AsyncIterator[tuple[Reloaded, Serving]]:
            signal.raise_signal(signal.SIGUSR2)
            yield service, Serving(review="", metrics="")

        monkeypatch.setattr("authz_service.app.running", running)
        data = DataDir.open(tmp_path / "data")
        settings = ServeSettings(tmp_path / "authz.yaml", data, "", part=Part(2))
        await asyncio.wait_for(_serve(settings), 60)
        assert service.ending is Ending.OTHERS

    asyncio.run(scenario())


def test_what_was_asked_for_before_is_done_once_and_then_each_time() -> None:
    done: list[int] = []
    deferred = Deferred()
    deferred.ask()
    deferred.ask()
    deferred.begin(lambda: done.append(1))
    assert len(done) == 1
    deferred.ask()
    assert len(done) == 2
    nothing = Deferred()
    nothing.begin(lambda: done.append(1))
    assert len(done) == 2
