"""No schedule admits more than its limits."""

from __future__ import annotations

import uuid

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.drafts import Make
from tests.store.limits_reached import Run, admit, demand, ended
from tests.store.places import START, Place

from authz_service.core.limits import (
    Admitted,
)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("admit"), st.integers(0, 40)),
        st.tuples(st.just("end"), st.integers(0, 60)),
        st.tuples(st.just("pass"), st.integers(1, 45)),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_schedule_admits_more_than_its_limits(
    sqlite_url: str, make: Make, run: Run, steps: list[tuple[str, int]]
) -> None:
    """Of requests and exchanges at once never one more; of tokens what answers had beyond the estimate."""
    place = Place(sqlite_url)
    place.clock.time = START + 1_000_000
    caller = uuid.uuid4().hex

    async def go() -> None:
        async with place.store() as store:
            begun_at: dict[str, float] = {}
            tokens: dict[str, int] = {}
            beyond = 0
            is_open: list[str] = []
            for what, number in steps:
                if what == "pass":
                    place.clock.time += number
                elif what == "end" and is_open:
                    session = is_open.pop(0)
                    beyond = max(beyond, number - tokens[session])
                    tokens[session] = number
                    await store.append(ended(session, prompt_tokens=number, completion_tokens=0))
                elif what == "admit":
                    session = uuid.uuid4().hex
                    wanted = demand(
                        caller=caller,
                        tokens=number,
                        requests_per_minute=4,
                        tokens_per_minute=100,
                        concurrent=3,
                    )
                    answer = await admit(store, make, wanted, caller=caller, session=session)
                    if isinstance(answer, Admitted):
                        begun_at[session], tokens[session] = place.clock.time, number
                        is_open.append(session)
                assert len(is_open) <= 3
                recent = [s for s, at in begun_at.items() if at > place.clock.time - 60]
                assert len(recent) <= 4
                assert sum(tokens[s] for s in recent) <= 100 + 3 * max(0, beyond)

    run(go())
