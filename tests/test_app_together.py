"""Workers that start together, and wait for one another before they check anybody."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from structlog.testing import capture_logs

from authz_service.app.together import until_all_listen
from authz_service.keys.crew import Part
from authz_service.keys.data_dir import DataDir

LATE = 0.2


def listener(path: Path) -> socket.socket:
    """One that takes connections, and says nothing."""
    taken = socket.socket(socket.AF_UNIX)
    taken.bind(str(path))
    taken.listen()
    return taken


def test_a_worker_waits_until_every_other_one_listens(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path)

    async def play() -> None:
        waiting = asyncio.create_task(until_all_listen(None, data, Part(3, 1), within=60.0))
        with listener(Part(3, 2).socket(data)):
            await asyncio.sleep(LATE)
            assert not waiting.done()
            with listener(Part(3, 0).socket(data)):
                await waiting

    with capture_logs() as logs:
        asyncio.run(play())
    assert logs == []


def test_one_that_does_not_come_is_told_and_waited_for_no_longer(tmp_path: Path) -> None:
    """It may end at each start; the socket that a dead one left is nobody."""
    data = DataDir.open(tmp_path)
    with listener(Part(3, 0).socket(data)), capture_logs() as logs:
        listener(Part(3, 2).socket(data)).close()
        asyncio.run(until_all_listen(None, data, Part(3, 1), within=LATE))
    assert [(line["event"], line["missing"]) for line in logs] == [("service.workers_missing", [2])]


def test_a_service_alone_waits_for_nobody(tmp_path: Path) -> None:
    with capture_logs() as logs:
        asyncio.run(until_all_listen(None, DataDir.open(tmp_path), Part(), within=0.0))
    assert logs == []
