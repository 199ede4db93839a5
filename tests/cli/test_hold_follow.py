"""A watch goes on through breaks, and misses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.followed import Server
from tests.servers.loop_thread import LoopThread
from tests.servers.review_made import make_hold

from authz_cli.exits import Exit, Failure
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_watch import FIRST_PAUSE, LONGEST_PAUSE, follow
from authz_cli.options import Target
from authz_service.core.stored_holds import HoldState


@pytest.fixture
def server(review_thread: LoopThread, tmp_path: Path) -> Iterator[Server]:
    server = Server(review_thread, tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[HoldClient]:
    target = Target(server.review.address, None, "token-rita", Path("data"), is_data_dir_named=False)
    with connect(target) as client:
        yield client


def no_pause(seconds: float) -> None:
    """Come again at once."""


def test_changes_while_the_server_was_away_are_told_when_it_is_back(
    server: Server, client: HoldClient
) -> None:
    server.review.put(make_hold("hld_1"))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            server.start()

    messages = follow(client, pause=pause, tell=lambda text: None)
    assert next(messages).hold.id == "hld_1"
    server.review.put(make_hold("hld_2"))
    assert next(messages).hold.id == "hld_2"
    server.stop()
    server.store.put(make_hold("hld_1", state=HoldState.REJECTED, version=2))
    server.store.put(make_hold("hld_3"))
    assert [next(messages).hold.id, next(messages).hold.id] == ["hld_1", "hld_3"]
    assert pauses[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert max(pauses) <= LONGEST_PAUSE


def test_an_expired_token_is_renewed_without_a_word(server: Server, client: HoldClient) -> None:
    server.review.put(make_hold("hld_1"))
    said: list[str] = []

    def pause(seconds: float) -> None:
        server.store.time -= 3600

    messages = follow(client, pause=pause, tell=said.append)
    assert next(messages).hold.id == "hld_1"

    async def expire() -> None:
        server.store.time += 3600
        server.store.put(make_hold("hld_2", at=server.store.time))

    server.review.do(expire())
    assert next(messages).hold.id == "hld_2"
    assert said == []
    assert len(server.review.people.seen) >= 2


def test_a_refusal_ends_the_watch(server: Server, client: HoldClient) -> None:
    server.review.people.known.clear()
    with pytest.raises(Failure) as failure:
        next(follow(client, pause=no_pause, tell=lambda text: None))
    assert failure.value.exit_code == Exit.NOT_PERMITTED


def test_a_server_that_never_answered_is_an_error_and_no_patience(server: Server, client: HoldClient) -> None:
    server.stop()
    with pytest.raises(Failure) as failure:
        next(follow(client, pause=no_pause, tell=lambda text: None))
    assert failure.value.exit_code == Exit.AWAY
