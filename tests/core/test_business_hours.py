"""A clock that stands still outside business hours, in a zone that puts its clocks forward and back."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.core.business_hours import Hours, Offsets, passed_at
from authz_service.core.holds import Approval, Stage
from authz_service.store.zone_rules import zones_of

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
NIGHT = Hours("Europe/Berlin", (0, 1, 2, 3, 4, 5, 6), 0, 86_400)
HOUR = 3600.0


def rules(hours: Hours, at: float) -> Offsets:
    return zones_of([Approval("a", (Stage("true", 1, 60.0, hours=hours),))], at)[hours.zone]


def after(begin: str, hours: float, *, of: Hours = OFFICE) -> str:
    """When so many business hours have passed, both as clocks in Berlin show."""
    at = datetime.fromisoformat(begin).replace(tzinfo=BERLIN).timestamp()
    end = passed_at(at, hours * HOUR, of, rules(of, at))
    return datetime.fromtimestamp(end, BERLIN).strftime("%a %d %b %H:%M")


@pytest.mark.parametrize(
    ("begin", "hours", "end"),
    [
        ("2026-11-20T10:00", 1, "Fri 20 Nov 11:00"),
        ("2026-11-20T16:00", 1, "Fri 20 Nov 17:00"),
        ("2026-11-20T16:00", 2, "Mon 23 Nov 10:00"),
        ("2026-11-20T18:00", 8, "Mon 23 Nov 17:00"),
        ("2026-11-21T12:00", 0.5, "Mon 23 Nov 09:30"),
        ("2026-11-23T06:00", 1, "Mon 23 Nov 10:00"),
        ("2026-11-18T09:00", 40, "Tue 24 Nov 17:00"),
    ],
)
def test_time_counts_in_business_hours_alone(begin: str, hours: float, end: str) -> None:
    assert after(begin, hours) == end


def test_clocks_that_change_in_between_move_no_end() -> None:
    # On Sunday 29 March 2026 clocks go from 02:00 to 03:00, on 25 October from 03:00 to 02:00.
    assert after("2026-03-27T16:00", 2) == "Mon 30 Mar 10:00"
    assert after("2026-10-23T16:00", 2) == "Mon 26 Oct 10:00"


def test_an_hour_that_clocks_skip_is_none_and_one_that_they_repeat_are_two() -> None:
    assert after("2026-03-29T00:00", 2, of=NIGHT) == "Sun 29 Mar 03:00"
    assert after("2026-03-29T00:00", 23, of=NIGHT) == "Mon 30 Mar 00:00"
    assert after("2026-10-25T00:00", 25, of=NIGHT) == "Mon 26 Oct 00:00"
    skipped = Hours("Europe/Berlin", (6,), 2 * 3600 + 1800, 4 * 3600)
    assert after("2026-03-29T00:00", 1, of=skipped) == "Sun 29 Mar 04:00"


def test_hours_without_days_or_length_and_zones_without_rules_cannot_be_used() -> None:
    with pytest.raises(ValueError, match="days"):
        Hours("Europe/Berlin", (), 0, 60)
    with pytest.raises(ValueError, match="before they end"):
        Hours("Europe/Berlin", (0,), 60, 60)
    with pytest.raises(ValueError, match="rules"):
        passed_at(0.0, 1.0, OFFICE, ())


@given(
    begin=st.floats(1_750_000_000, 1_850_000_000),
    first=st.floats(1, 200_000),
    second=st.floats(1, 200_000),
)
def test_waiting_twice_is_waiting_once_for_the_sum_and_ends_within_the_hours(
    begin: float, first: float, second: float
) -> None:
    offsets = rules(OFFICE, begin)
    middle = passed_at(begin, first, OFFICE, offsets)
    end = passed_at(middle, second, OFFICE, offsets)
    whole = passed_at(begin, first + second, OFFICE, offsets)
    assert end == pytest.approx(whole, abs=0.001)
    assert begin + first <= middle < end
    shown = datetime.fromtimestamp(end - 0.01, UTC).astimezone(BERLIN)
    assert shown.weekday() < 5
    assert 9 <= shown.hour < 17
