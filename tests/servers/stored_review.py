"""The review API over a store in a file."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import NO_REVISER
from tests.servers.review_people import NOW, GroupRoles, People

from authz_service.core.acts import AnswerHead
from authz_service.core.stored_holds import Hold, HoldLimits
from authz_service.errors import Conflict
from authz_service.masking.seams import Scanner
from authz_service.runtime.revising import Revised, ToldAnswer
from authz_service.servers.review import ReviewServer
from authz_service.servers.review_concealing import Concealer
from authz_service.servers.review_deciding import Reviser
from authz_service.store.open import open_store
from authz_service.store.sql_store import SqlStore


@contextmanager
def served(
    thread: LoopThread,
    folder: Path,
    scanner: Callable[[], Scanner] | None = None,
    reviser: Reviser = NO_REVISER,
    people: People | None = None,
    concealer: Concealer | None = None,
) -> Iterator[tuple[SqlStore, str]]:
    """A store in a file, and the review API over it."""

    async def opened() -> SqlStore:
        return await open_store(
            f"sqlite:///{folder / 'authz.db'}",
            instance="test",
            pseudonym=lambda identity: hashlib.sha256(repr(identity).encode()).hexdigest(),
            clock=lambda: NOW,
        )

    folder.chmod(0o700)
    store = thread.run(opened())
    review = ReviewServer(
        store,
        people or People(),
        GroupRoles(),
        limits=HoldLimits,
        reviser=reviser,
        clock=lambda: NOW,
        poll=0.01,
        scanner=scanner,
        concealer=concealer,
    )
    serving = review.serve(f"unix:{folder / 'review.sock'}")
    try:
        yield store, thread.run(serving.__aenter__())
    finally:
        thread.run(serving.__aexit__(None, None, None))
        thread.run(store.close())


def as_(name: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer token-{name}"),)


class OnceOnly:
    """Makes something of what waits, if nobody has before; as the real one, which also needs rules."""

    async def edited(self, hold: Hold, body: bytes) -> Revised:
        return self._made(hold, body, None)

    async def told(self, hold: Hold) -> ToldAnswer:
        return ToldAnswer({}, ())

    async def changes(self, hold: Hold) -> Mapping[str, bytes | str]:
        return {act.id: b"[]" for act in hold.revisions}

    async def edited_answer(self, hold: Hold, texts: Mapping[str, str]) -> Revised:
        raise NotImplementedError("no answer waits in these tests")

    async def response(self, hold: Hold, text: str) -> Revised:
        return self._made(hold, secrets.token_bytes(8) + text.encode(), AnswerHead(200, {}))

    def _made(self, hold: Hold, body: bytes, answer: AnswerHead | None) -> Revised:
        if hold.revisions:
            raise Conflict("edited or answered before", code="was_revised")
        return Revised(body, {}, b"[]", answer)
