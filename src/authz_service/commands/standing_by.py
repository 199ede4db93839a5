"""How a process that has loaded everything waits for its turn: until its standard input ends."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress

_STDIN = 0
_MOST = 4096


def input_ended() -> asyncio.Future[None]:
    """Done once it has; at once where there is none, as when a process is started again."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ended.done():
            ended.set_result(None)

    def wait() -> None:
        with suppress(OSError):
            while os.read(_STDIN, _MOST):
                pass
        with suppress(RuntimeError):  # the loop was closed: told to stop meanwhile
            loop.call_soon_threadsafe(tell)

    # A daemon: the loop's own threads are waited for when it ends, and this one may wait for ever.
    threading.Thread(target=wait, name="standing by", daemon=True).start()
    return ended
