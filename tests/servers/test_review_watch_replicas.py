"""A watch over two replicas of a real store is broken off at random, goes on at either, misses nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import draft
from tests.servers.review_fakes import NO_REVISER
from tests.servers.review_people import NOW, GroupRoles, People
from tests.servers.watching import snapshot
from tests.store.conftest import (  # noqa: F401 - fixtures
    place,
    postgres,
    postgres_url,
    sqlite_template,
    sqlite_url,
)
from tests.store.drafts import Make
from tests.store.places import Place
from tests.store.replicas import other_lock

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.audit.draft import EntryDraft
from authz_service.core.holds import Approval, Stage, Verdict
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Conflict
from authz_service.servers.review import ReviewServer
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits(pending_per_caller=10_000)
PAIR = Approval("security", (Stage("security", 2, 1800.0),))


class Writer:
    """Opens holds and decides on them, on whatever replica; `versions` is what a watch must tell."""

    def __init__(self, thread: LoopThread, chance: random.Random) -> None:
        self._thread = thread
        self._chance = chance
        self._count = 0
        self.versions: dict[str, int] = {}

    def write(self, store: SqlStore) -> None:
        """One thing."""
        if not self.versions or self._chance.random() < 0.4:
            self._count += 1
            opening = self._thread.run(
                store.open_hold(replace(draft(self._count), approvals=(PAIR,)), LIMITS)
            )
            assert isinstance(opening, Opened)
            self.versions[opening.hold.id] = opening.hold.version
            return
        name = self._chance.choice(list(self.versions))
        hold = self._thread.run(store.hold(name))
        assert hold is not None
        verdict = self._chance.choice([Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT])
        ballot = Make().ballot(hold, f"p{self._chance.randrange(4)}", verdict)
        try:
            self.versions[name] = self._thread.run(store.vote(ballot, LIMITS)).version
        except Conflict:
            assert hold.state != "pending" or len(hold.votes) == 1


def _run(thread: LoopThread, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    thread.run(work())


@contextmanager
def replicas(thread: LoopThread, at: Place, folder: Path) -> Iterator[list[tuple[SqlStore, str]]]:
    """Two stores on one database, and the review API over each."""
    at.clock.time = NOW
    with ExitStack() as stack:
        found = []
        for name in ("one", "two"):
            other_lock(at.url)
            store = thread.run(at.open(instance=name, migrate=False))
            stack.callback(_run, thread, store.close)
            found.append((store, stack.enter_context(serving(thread, store, folder / f"{name}.sock"))))
        yield found


@contextmanager
def serving(thread: LoopThread, store: SqlStore, socket: Path) -> Iterator[str]:
    """The review API over this store; its address."""
    review = ReviewServer(
        store, People(), GroupRoles(), limits=lambda: LIMITS, reviser=NO_REVISER, clock=lambda: NOW, poll=0.01
    )
    served = review.serve(f"unix:{socket}")
    with ExitStack() as stack:
        address = thread.run(served.__aenter__())
        stack.callback(_run, thread, partial(served.__aexit__, None, None, None))
        yield address


def watch(address: str, cursor: str, known: str = "") -> Generator[pb.WatchHoldsResponse, None, None]:
    """Messages of one watch; closing it cancels the call."""
    with grpc.insecure_channel(address) as channel:
        request = pb.WatchHoldsRequest(cursor=cursor, known=[known] if known else [])
        yield from HoldServiceStub(channel).WatchHolds(
            request, metadata=(("authorization", "Bearer token-rita"),)
        )


@pytest.mark.parametrize("seed", range(2))
def test_no_change_that_another_replica_makes_is_missed_however_often_a_watch_is_broken_off(
    thread: LoopThread,
    place: Place,  # noqa: F811 - the fixture
    tmp_path: Path,
    seed: int,
) -> None:
    chance = random.Random(seed)
    writer = Writer(thread, chance)
    tmp_path.chmod(0o700)
    with replicas(thread, place, tmp_path) as both:
        known: dict[str, int] = {}
        with closing(watch(both[0][1], "")) as messages:
            cursor = snapshot(messages)[1]
        for turn in range(16):
            for _ in range(chance.randrange(4)):  # while nobody watches
                writer.write(chance.choice(both)[0])
            left = chance.randrange(1, 5) if turn < 15 else 10_000
            with closing(watch(chance.choice(both)[1], cursor)) as messages:
                if chance.random() < 0.5:  # while somebody does
                    writer.write(chance.choice(both)[0])
                while known != writer.versions and left:
                    message = next(messages)
                    left -= 1
                    cursor = message.cursor or cursor
                    if message.HasField("hold"):
                        before = known.get(message.hold.id, 0)
                        known[message.hold.id] = max(before, message.hold.version)
                        assert message.hold.version >= before
        assert known == writer.versions
        assert len(known) > 5


def test_a_watch_of_a_replica_that_began_later_goes_on_at_one_that_began_before(
    thread: LoopThread,
    place: Place,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    """Each asks from where the record ended as it began, and what is of no hold moves none of them."""
    make = Make()
    tmp_path.chmod(0o700)
    with replicas(thread, place, tmp_path) as ((store, before), _):
        with closing(watch(before, "")) as messages:
            snapshot(messages)
        for n in range(3):  # exchanges that nobody holds
            drafts = make.received(f"s{n}"), make.decided(f"s{n}"), make.released(f"s{n}")
            _run(thread, partial(_recorded, store, drafts))
        with (
            serving(thread, store, tmp_path / "later.sock") as later,
            closing(watch(later, "")) as messages,
        ):
            cursor = snapshot(messages)[1]
        with closing(watch(before, cursor, known="hld_of_nobody")) as messages:
            assert next(messages).no_longer_yours == "hld_of_nobody"  # it is taken before anything changes
            writer = Writer(thread, random.Random(0))
            writer.write(store)
            assert next(messages).hold.id in writer.versions
        with closing(watch(before, f"{int(cursor) + 1000}")) as messages:
            with pytest.raises(grpc.RpcError) as refused:
                next(messages)
            metadata: Any = refused.value
            assert dict(metadata.trailing_metadata())["authz-code"] == "foreign_cursor"


async def _recorded(store: SqlStore, drafts: tuple[EntryDraft, ...]) -> None:
    await store.append(*drafts)
