"""A clock that stands still outside business hours: when a time that begins now will have passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

DAY: Final = 86_400
EPOCH: Final = date(1970, 1, 1)

Offsets = Sequence[tuple[float, float]]
"""A zone's rules as far as they are needed: from which instant on (seconds since the epoch) which offset
from UTC (seconds) is in force, in order. The first one is in force before its instant too."""

Zones = Mapping[str, Offsets]
"""The rules of each zone by its name."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` to `end` (seconds after midnight, as clocks in `zone` show) on `days` (0 is Monday)."""

    zone: str
    days: tuple[int, ...]
    start: int
    end: int

    def __post_init__(self) -> None:
        if not self.days or not all(0 <= day <= 6 for day in self.days):
            raise ValueError(f"business hours need days from 0 to 6, got {self.days}")
        if not 0 <= self.start < self.end <= DAY:
            raise ValueError(f"business hours begin before they end, got {self.start} to {self.end}")


def passed_at(begin: float, seconds: float, hours: Hours, offsets: Offsets) -> float:
    """The instant at which `seconds` of business hours have passed since `begin`.

    An hour is an hour: on a day on which clocks are put forward, hours that span that moment are shorter.
    """
    if not offsets:
        raise ValueError(f"the rules of the zone {hours.zone!r} are needed")
    left = seconds
    for opens, closes in _periods(begin, hours, offsets):
        start = max(opens, begin)
        if closes - start >= left:
            return start + left
        left -= max(closes - start, 0.0)
    raise AssertionError("business hours come again every week")


def _periods(begin: float, hours: Hours, offsets: Offsets) -> Iterator[tuple[float, float]]:
    """The periods that end after `begin`, in order, without end."""
    # A day early: the zone's date may be another than that of UTC.
    day = datetime.fromtimestamp(begin, UTC).date() - timedelta(days=1)
    while True:
        if day.weekday() in hours.days:
            closes = _instant(day, hours.end, offsets)
            if closes > begin:
                yield _instant(day, hours.start, offsets), closes
        day += timedelta(days=1)


def _instant(day: date, clock: int, offsets: Offsets) -> float:
    """When clocks show this: of two such instants the first; where they skip it, when they do."""
    local = float((day - EPOCH).days * DAY + clock)
    for (_, offset), (changes, after) in pairwise(offsets):
        if local - offset < changes:
            return local - offset
        if local - after < changes:
            return changes
    return local - offsets[-1][1]
