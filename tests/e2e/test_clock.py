"""A clock that jumps: nothing is revived, nothing overdue is approved, and traffic goes on.

The clock of the machine cannot be set here, so what a jump leaves behind is written into the store while
the gateway is stopped: a last entry an hour ahead of the clock, as after an hour that was taken back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from tests.e2e.people import approve, ask, asking, hold_of, left_waiting, said, state_of
from tests.e2e.stack import CHAT, Stack

HOUR = 3_600_000_000  # microseconds


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway of each test's own, since its clock is spoilt."""
    with Stack(tmp_path_factory.mktemp("clock"), within="30m") as running:
        yield running


def move_last_entry(stack: Stack, microseconds: int) -> None:
    with sqlite3.connect(stack.data / "authz.db") as database:
        moved = database.execute("UPDATE head SET last_at = last_at + ?", [microseconds])
        assert moved.rowcount == 1
    database.close()


def test_a_clock_that_went_back_revives_no_overdue_hold(stack: Stack) -> None:
    overdue = left_waiting(stack, "bo", "Before the clock jumped")
    approved = left_waiting(stack, "cy", "Approved before the clock jumped")
    approve(stack, approved)
    stack.stop()
    move_last_entry(stack, HOUR)
    stack.start()
    assert "expired" in approve(stack, overdue, check=4)
    assert [state_of(stack, hold) for hold in (overdue, approved)] == ["expired", "expired"]
    assert len(stack.upstream.requests) == 0


def test_while_the_clock_is_behind_the_record_traffic_and_approvals_go_on(stack: Stack) -> None:
    assert stack.post(CHAT, "staff").status_code == 200
    stack.stop()
    move_last_entry(stack, HOUR)
    stack.start()
    assert ask(stack.sdk("amy", "staff"), "After the jump").choices[0].message.content
    answer = asking(stack, "dee", "Held after the jump")
    approve(stack, hold_of(stack, "dee"))
    assert said(answer.result(60)) == "Hello from upstream."
    times = [session["started_at"] for session in stack.cli_json("session", "list")]
    assert times == sorted(times, reverse=True)
