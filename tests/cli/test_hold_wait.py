"""`authz hold wait` goes on through a restart of the server, and knows a wrong address from one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.followed import Server
from tests.servers.loop_thread import LoopThread
from tests.servers.review_made import make_hold

from authz_cli.exits import Exit, Failure
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_wait import EVERY, decided, wait_for
from authz_cli.hold_watch import FIRST_PAUSE, LONGEST_PAUSE, follow
from authz_cli.options import Target
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldState

LEGAL = Approval("legal", (Stage("legal", 1, 1800.0),))


@pytest.fixture
def server(review_thread: LoopThread, tmp_path: Path) -> Iterator[Server]:
    server = Server(review_thread, tmp_path)
    server.start()
    server.review.put(make_hold("hld_1"))
    yield server
    server.stop()


@pytest.fixture
def target(server: Server) -> Target:
    return Target(server.review.address, None, "token-rita", Path("data"), is_data_dir_named=False)


@pytest.fixture
def client(target: Target) -> Iterator[HoldClient]:
    with connect(target) as client:
        yield client


def test_it_goes_on_when_the_server_starts_again(server: Server, client: HoldClient) -> None:
    pauses: list[float] = []
    said: list[str] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            server.stop()
        if len(pauses) == 4:
            server.start()
        if len(pauses) > 4 and seconds == EVERY:
            server.review.put(make_hold("hld_1", state=HoldState.APPROVED, version=2))

    hold = decided(client, "hld_1", timeout=None, tell=said.append, pause=pause)
    assert hold.version == 2
    assert pauses[:4] == [EVERY, FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses[-1] == EVERY
    assert said == [f"the server went away; asking again in {p:g} s" for p in pauses[1:-1]]
    assert max(pauses) <= LONGEST_PAUSE


def test_its_time_is_over_while_the_server_is_away_too(server: Server, client: HoldClient) -> None:
    clock = [0.0]

    def pause(seconds: float) -> None:
        clock[0] += seconds
        server.stop()

    with pytest.raises(Failure, match="still pending, as far as is known") as failure:
        decided(client, "hld_1", timeout=20.0, tell=lambda _: None, clock=lambda: clock[0], pause=pause)
    assert failure.value.exit_code == Exit.UNDECIDED
    assert clock == [20.0]


def test_a_server_that_never_answered_is_an_error_and_no_patience(server: Server, target: Target) -> None:
    server.stop()
    with pytest.raises(Failure) as failure:
        wait_for(target, "hld_1", timeout=None, as_json=False)
    assert failure.value.exit_code == Exit.AWAY


def test_a_refusal_ends_it(server: Server, client: HoldClient) -> None:
    def pause(_seconds: float) -> None:
        server.review.people.known.clear()

    with pytest.raises(Failure) as failure:
        decided(client, "hld_1", timeout=None, tell=lambda _: None, pause=pause)
    assert failure.value.exit_code == Exit.NOT_PERMITTED


def test_a_watch_is_told_after_a_break_what_ceased_to_be_theirs(server: Server, client: HoldClient) -> None:
    server.review.put(make_hold("hld_2"))
    messages = follow(client, pause=lambda _: server.start(), tell=lambda _: None)
    assert {next(messages).hold.id for _ in range(2)} == {"hld_1", "hld_2"}
    server.stop()
    server.store.put(make_hold("hld_1", approvals=(LEGAL,), version=2))
    server.store.put(make_hold("hld_2", version=2))
    assert next(messages).no_longer_yours == "hld_1"
    assert next(messages).hold.version == 2
