"""`python -m bench.micro.check_server FOLDER`: Check in a process of its own, as `authz serve` has it.

It writes `requests` into FOLDER, then serves on `check.sock` there until it is terminated.
"""

from __future__ import annotations

import asyncio
import signal
import struct
import sys
from pathlib import Path

import uvloop
from bench.micro.checking import doors

from authz_service.commands.garbage import freeze_what_is_loaded
from authz_service.servers.gateway import serve_gateway


async def serve(folder: Path) -> None:
    """Until SIGTERM."""
    loaded, stop = doors(), asyncio.Event()
    requests = [request.SerializeToString() for request in (*loaded.with_keys, *loaded.with_tokens)]
    (folder / "requests").write_bytes(b"".join(struct.pack(">I", len(each)) + each for each in requests))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def drained() -> None:
        return None

    async with serve_gateway(folder / "check.sock", [loaded.full.handler()], drain=drained):
        freeze_what_is_loaded()
        (folder / "ready").touch()
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
