"""Approved requests go to the models evenly: none waits without need, no second has too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from authz_service.runtime.pacing import CATCH_UP_SECONDS, Pace


def test_after_a_pause_one_goes_at_once_and_the_next_after_its_share_of_the_second() -> None:
    pace = Pace(lambda: 10.0)
    assert pace.take(1, 100.0) == (1, 0.0)
    number, seconds = pace.take(1, 100.0)
    assert number == 0
    assert 0.0 < seconds < 0.11
    assert pace.take(5, 100.0 + 0.101) == (1, 0.0)


def test_a_turn_that_is_given_back_is_the_next_one_s() -> None:
    pace = Pace(lambda: 10.0)
    pace.take(1, 100.0)
    pace.give_back()
    assert pace.take(1, 100.0) == (1, 0.0)
    assert pace.take(1, 100.0)[0] == 0


def test_what_a_busy_process_missed_is_made_good_for_a_moment_only() -> None:
    pace = Pace(lambda: 1000.0)
    pace.take(1, 0.0)
    number, _ = pace.take(10_000, 60.0)
    assert 49 <= number <= 51


def test_a_rate_that_grows_counts_for_who_waits_already() -> None:
    rates = [1.0]
    pace = Pace(lambda: rates[-1])
    pace.take(1, 0.0)
    rates.append(100.0)
    number, seconds = pace.take(1, 0.5)
    assert number == 0
    assert seconds < 0.011
    assert pace.take(1, 0.511) == (1, 0.0)


@given(st.floats(1.0, 2000.0), st.lists(st.floats(0.0, 0.3), min_size=1, max_size=200))
def test_no_second_has_more_than_the_rate_and_what_may_be_made_good(rate: float, steps: list[float]) -> None:
    pace, now = Pace(lambda: rate), 0.0
    gone: list[tuple[float, int]] = []
    for step in steps:
        now += step
        gone.append((now, pace.take(1_000_000, now)[0]))
    most = max(sum(n for at, n in gone if start <= at < start + 1.0) for start, _ in gone)
    assert most <= rate * (1.0 + CATCH_UP_SECONDS) + 2
