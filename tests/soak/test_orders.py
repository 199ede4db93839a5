"""What people, callers and processes do on two replicas, in many orders: see test_store_machine_world."""

from __future__ import annotations

import os

import pytest
from tests.store.conftest import (  # noqa: F401 - fixtures
    fresh_postgres,
    fresh_sqlite,
    make,
    postgres,
    sqlite_template,
)
from tests.store.drafts import Make
from tests.store.machine_world import goes

ORDERS = int(os.environ.get("SOAK_ORDERS", "1000"))
REACHED = {
    *(f"ask: {came}" for came in ("opened", "attached", "granted", "rejected", "taken_up", "session_killed")),
    *(f"use: {came}" for came in (True, False, "taken_up", "session_killed")),
    *(
        f"{what}: done"
        for what in ("vote", "decide", "edit", "withdraw", "propose", "agree", "revoke", "kill", "settle")
    ),
    "again: ours",
    "leave: taken_up",
    "settle: taken_up",
    "settle: session_killed",
}


@pytest.mark.soak
@pytest.mark.parametrize("which", ["sqlite", "postgres"])
def test_in_any_of_many_orders_on_two_replicas_only_what_was_agreed_to_as_it_is_goes_out(
    which: str,
    request: pytest.FixtureRequest,
    make: Make,  # noqa: F811 - the fixture
) -> None:
    came = goes(request.getfixturevalue(f"fresh_{which}"), make, examples=ORDERS, steps=60)
    print(f"{which}: {came}")
    assert set(came) >= (REACHED if ORDERS >= 500 else set())
