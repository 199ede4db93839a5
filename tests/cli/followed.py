"""A server whose watches break off and go on."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import Review, running


class Server:
    """A server that stops and starts again at the same address, with the same store."""

    def __init__(self, thread: LoopThread, folder: Path) -> None:
        self._thread, self._folder = thread, folder
        self._stack = ExitStack()
        self.store = MemoryStore()
        self.review: Review

    def start(self) -> None:
        self.review = self._stack.enter_context(running(self._thread, self._folder, self.store))

    def stop(self) -> None:
        self._stack.close()
