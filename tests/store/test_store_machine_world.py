"""What people, callers and processes do, in any order and at once: what comes of it is as the model has it.

After every step two processes on one database, each with a clock of its own, show the same as a small model
of dictionaries, which knows what may go out; of things that are done at once, as if one had been after the
other.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.machine_world import goes


@pytest.mark.parametrize("which", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_in_any_order_on_two_replicas_only_what_was_agreed_to_as_it_is_goes_out(
    which: str, request: pytest.FixtureRequest, make: Any
) -> None:
    fresh = request.getfixturevalue(f"fresh_{which}")
    goes(fresh, make, examples=16 if which == "sqlite" else 6, steps=50)
