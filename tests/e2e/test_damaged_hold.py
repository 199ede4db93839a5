"""A hold that somebody altered in the database cannot be decided, and is not the end of the service."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from tests.e2e.people import approve, ask, asking, hold_of, in_background, reviewer, said, until
from tests.e2e.stack import Stack
from tests.e2e.test_stages import PAIR


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("damaged"), config=PAIR) as running:
        yield running


def test_others_are_answered_listed_and_decided_beside_it(stack: Stack) -> None:
    """Its reminder was due, and the service ended; it did so again after each start."""
    in_background(lambda: ask(stack.sdk("bea", "hasty", max_retries=0), "Ship two"))
    damaged = hold_of(stack, "bea")["id"]
    with sqlite3.connect(stack.data / "authz.db", timeout=60) as database:
        database.execute("UPDATE holds SET detail = '{', turn_at = created_at WHERE id = ?", (damaged,))
    until(lambda: "hold.damaged" in stack.logs(), "the log names it")
    waiting = asking(stack, "cy", "Ship three")
    other = hold_of(stack, "cy")
    for name in ("rita", "rolf"):
        approve(stack, other, token=reviewer(stack, name))
    assert said(waiting.result(60)) == "Hello from upstream."
    assert damaged in stack.cli("hold", "list", token=reviewer(stack, "rita")).stderr
    assert "service.failed" not in stack.logs()
