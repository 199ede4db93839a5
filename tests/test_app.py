"""The composition root notices when a part that works in the background has failed."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.e2e.stack import CONFIG
from tests.servers.memory_store import MemoryStore

from authz_service.app import ServeSettings, base, keeping, running
from authz_service.errors import Unavailable
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir
from authz_service.runtime.waiting import Waiting

FILLED = CONFIG.format(
    port=10000,
    model_url="http://127.0.0.1:1",
    wait="1s",
    use_within="1m",
    within="1m",
    votes=1,
    store="sqlite:///authz.db",
)


def test_a_sweep_that_fails_is_said_when_that_begins_or_changes_and_ends_no_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it is that a row has: the service would end with it, and again after each start."""

    class Holds(MemoryStore):
        sweeps = 0

        async def expire_overdue(self) -> int:
            self.sweeps += 1
            raise Unavailable("away") if self.sweeps == 2 else KeyError("the body of a request")

    async def sweep() -> None:
        store = Holds()
        sweeping = asyncio.create_task(keeping._sweep(store))
        async with asyncio.timeout(100):
            while store.sweeps < 5:
                await asyncio.sleep(0.001)
        assert not sweeping.done()
        sweeping.cancel()

    monkeypatch.setattr(keeping, "SWEEP_SECONDS", 0.0)
    with capture_logs() as logs:
        asyncio.run(sweep())
    said = [(line["event"], line["error"]) for line in logs]
    assert said == [("holds.sweep_failed", error) for error in ("KeyError", "away", "KeyError")]


def test_a_service_whose_background_work_fails_ends_to_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Waiting) -> None:
        raise RuntimeError("the body of a request")

    async def serve() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        data = DataDir.open(tmp_path / "data")
        settings = ServeSettings(tmp_path / "authz.yaml", data, f"unix:{data.review_socket}")
        async with running(settings), asyncio.timeout(100):
            await stop.wait()

    monkeypatch.setattr(Waiting, "run", broken)
    (tmp_path / "authz.yaml").write_text(FILLED)
    asyncio.run(serve())


@pytest.mark.parametrize(
    ("part", "number"),
    [(Part(), signal.SIGTERM), (Part(2), signal.SIGTERM), (Part(2, 1), signal.SIGUSR2)],
    ids=["alone", "the keeper", "a worker leaves Envoy to the others"],
)
def test_what_failed_is_named_where_several_things_ran_together(
    monkeypatch: pytest.MonkeyPatch, part: Part, number: int
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(base.log, "critical", lambda event, error: logged.append(error), raising=False)
    raised: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", raised.append)

    async def fail() -> None:
        raise ExceptionGroup("both", [ValueError("secret"), ExceptionGroup("one", [KeyError("secret")])])

    async def scenario() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        base._stop_if_failed(task, part=part)

    asyncio.run(scenario())
    assert logged == ["KeyError, ValueError"]
    assert raised == [number]
