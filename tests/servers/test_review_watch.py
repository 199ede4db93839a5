"""Watching holds: a snapshot, then every change, and a cursor to go on from after a break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.loop_thread import LoopThread
from tests.servers.memory_store import MemoryStore
from tests.servers.review_fakes import Review, running
from tests.servers.review_made import make_hold
from tests.servers.review_people import NOW, person
from tests.servers.watching import next_hold, snapshot, told

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.stored_holds import Hold, HoldState


@pytest.fixture
def review(thread: LoopThread, tmp_path: Path) -> Iterator[Review]:
    with running(thread, tmp_path) as review:
        yield review


def watch(review: Review, cursor: str = "", name: str = "rita") -> Iterator[pb.WatchHoldsResponse]:
    """Messages of one watch; closing it cancels the call."""
    with grpc.insecure_channel(review.address) as channel:
        call = HoldServiceStub(channel).WatchHolds(
            pb.WatchHoldsRequest(cursor=cursor), metadata=(("authorization", f"Bearer token-{name}"),)
        )
        yield from call


def test_a_watch_begins_with_what_is_open_and_goes_on_with_changes(review: Review) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_2", state=HoldState.RELEASED))
    messages = watch(review)
    assert snapshot(messages)[0] == ["hld_1"]
    review.put(make_hold("hld_3"))
    assert told(next_hold(messages)) == ("hld_3", "PENDING")
    review.put(make_hold("hld_1", state=HoldState.REJECTED))
    assert told(next_hold(messages)) == ("hld_1", "REJECTED")


def test_a_watch_carries_no_bodies(review: Review) -> None:
    review.put(make_hold("hld_1"))
    assert next(watch(review)).hold.forward == b""


def test_only_the_cursor_moves_for_changes_that_are_for_others(review: Review) -> None:
    messages = watch(review, name="lea")
    _, before = snapshot(messages)
    review.put(make_hold("hld_1"))
    message = next(messages)
    assert message.HasField("bookmark")
    assert int(message.cursor) > int(before)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(st.integers(1, 6), max_size=6), min_size=1, max_size=4))
def test_no_change_is_missed_however_often_a_watch_is_broken_off(
    thread: LoopThread, tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]]
) -> None:
    with running(thread, tmp_path_factory.mktemp("review")) as review:
        known: dict[str, int] = {}
        cursor, version = "", 0
        for batch in batches:
            for number in batch:  # while nobody watches
                version += 1
                review.put(replace(make_hold(f"hld_{number}"), version=version))
            messages = watch(review, cursor)
            review.put(make_hold("hld_last", version=version))
            if cursor == "":
                for message in messages:
                    known[message.hold.id] = message.hold.version
                    if message.HasField("snapshot_done"):
                        cursor = message.cursor
                        break
            else:
                for message in messages:
                    known[message.hold.id] = message.hold.version
                    cursor = message.cursor or cursor
                    if message.hold.id == "hld_last" and message.hold.version == version:
                        break
        for hold in review.store.held.values():
            if hold.id != "hld_last":
                assert known[hold.id] == hold.version


def test_a_change_between_the_cursor_and_the_snapshot_is_not_lost(thread: LoopThread, tmp_path: Path) -> None:
    class Racing(MemoryStore):
        """A hold changes right after each list was read."""

        async def holds(self, query):  # type: ignore[no-untyped-def]
            page = await super().holds(query)
            if "hld_2" not in self.held:
                self.put(make_hold("hld_2"))
            return page

    with running(thread, tmp_path, Racing()) as review:
        review.put(make_hold("hld_1"))
        messages = watch(review)
        assert snapshot(messages)[0] == ["hld_1"]
        assert told(next_hold(messages)) == ("hld_2", "PENDING")


@pytest.mark.parametrize("cursor", ["x", "-1", "9" * 19, "999", "1.5"])
def test_a_cursor_from_elsewhere_is_refused(review: Review, cursor: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        next(watch(review, cursor))
    call: object = error.value
    assert isinstance(call, grpc.Call)
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert ("authz-code", "foreign_cursor") in list(call.trailing_metadata() or ())


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_a_watch_ends_when_its_token_does(review: Review, seconds: float) -> None:
    review.put(make_hold("hld_1"))
    review.people.known["rita"] = person("rita", "reviewers", "security", expires_at=NOW + seconds)
    with pytest.raises(grpc.RpcError) as error:
        list(watch(review))
    call: object = error.value
    assert isinstance(call, grpc.Call)
    assert call.code() is grpc.StatusCode.UNAUTHENTICATED
    assert ("authz-code", "token_expired") in list(call.trailing_metadata() or ())


def test_a_watch_outlives_a_store_that_is_away_for_a_while(review: Review) -> None:
    messages = watch(review)
    snapshot(messages)

    async def leave_and_return() -> None:
        review.store.is_away = True
        review.store.put(make_hold("hld_1"))

    review.do(leave_and_return())
    review.store.is_away = False
    assert told(next_hold(messages)) == ("hld_1", "PENDING")


def test_a_feed_that_fails_in_an_unforeseen_way_goes_on_asking(review: Review) -> None:
    messages = watch(review)
    snapshot(messages)
    review.store.failure = RuntimeError("a bug")
    review.do(_turns())
    review.store.failure = None
    review.put(make_hold("hld_1"))
    assert told(next_hold(messages)) == ("hld_1", "PENDING")


async def _turns() -> None:
    import asyncio

    for _ in range(50):
        await asyncio.sleep(0)


def test_holds_that_expire_are_told_once_the_sweep_has_them(review: Review) -> None:
    review.put(make_hold("hld_1"))
    messages = watch(review)
    snapshot(messages)

    async def expire() -> Hold:
        review.store.time = NOW + 1800
        await review.store.expire_overdue()
        return review.store.held["hld_1"]

    assert review.do(expire()).state is HoldState.EXPIRED
    assert told(next_hold(messages)) == ("hld_1", "EXPIRED")


def test_a_server_that_stops_sends_those_who_watch_away_to_come_again(
    thread: LoopThread, tmp_path: Path
) -> None:
    with running(thread, tmp_path) as review:
        messages = watch(review)
        snapshot(messages)
    with pytest.raises(grpc.RpcError) as error:
        list(messages)
    call: object = error.value
    assert isinstance(call, grpc.Call)
    assert call.code() is grpc.StatusCode.UNAVAILABLE
    assert ("authz-code", "stopping") in list(call.trailing_metadata() or ())
