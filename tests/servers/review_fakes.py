"""A server of the review API in a thread, over stand-ins with behaviour."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.loop_thread import LoopThread, Result
from tests.servers.memory_store import MemoryIndex, MemoryStore
from tests.servers.review_people import GroupRoles, People

from authz_service.core.stored_holds import (
    Hold,
    HoldLimits,
)
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_calls import Calls, ReviewVerifier, nothing_withdrawn
from authz_service.servers.review_keys import KeyReview
from authz_service.servers.review_logins import LoginReview
from authz_service.servers.review_tokens import TokenReview
from authz_service.view.caller import Caller


@dataclass
class Review:
    """A running review API. Change the store with `do`, within the server's loop."""

    thread: LoopThread
    address: str
    store: MemoryStore
    people: People
    index: MemoryIndex

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.thread.run(work)

    def put(self, hold: Hold) -> Hold:
        """Store a hold, as a change that watchers see."""

        async def put() -> Hold:
            return self.store.put(hold)

        return self.do(put())


NO_REVISER: Any = None
"""For tests in which nothing is edited."""


@contextmanager
def running(
    thread: LoopThread,
    folder: Path,
    store: MemoryStore | None = None,
    verifier: ReviewVerifier | None = None,
    tokens: Callable[[Calls], TokenReview] | None = None,
    recheck: Callable[[Caller], None] = nothing_withdrawn,
    keys: Callable[[Calls], KeyReview] | None = None,
    logins: LoginReview | None = None,
) -> Iterator[Review]:
    """A server on a Unix socket in `folder`; nobody waits but on hld_1, on which two do."""
    store, people, index = store or MemoryStore(), People(), MemoryIndex()
    server = ReviewServer(
        store,
        verifier or people,
        GroupRoles(),
        limits=HoldLimits,
        reviser=NO_REVISER,
        clock=lambda: store.time,
        poll=0.01,
        tokens=tokens,
        keys=keys,
        logins=logins,
        recheck=recheck,
        index=index,
    )
    folder.chmod(0o700)
    serving = server.serve(f"unix:{folder / 'review.sock'}")
    address = thread.run(serving.__aenter__())
    try:
        yield Review(thread, address, store, people, index)
    finally:
        thread.run(serving.__aexit__(None, None, None))
