"""A zone's rules as a hold keeps them: its deadlines stay what they were, whatever becomes of the zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from authz_service.core.business_hours import DAY, Offsets
from authz_service.core.holds import Approval

YEARS: Final = 4
"""How far ahead the rules are kept; what takes longer goes on by the last one."""


def zones_of(approvals: Iterable[Approval], at: float) -> dict[str, Offsets]:
    """The rules of every zone that the stages' hours name, from a day before `at` on."""
    stages = (stage for approval in approvals for stage in approval.stages)
    names = {stage.hours.zone for stage in stages if stage.hours is not None}
    return {name: _offsets(name, int(at) // DAY - 1) for name in sorted(names)}


@lru_cache(maxsize=64)
def _offsets(zone: str, first_day: int) -> Offsets:
    rules = ZoneInfo(zone)
    start = first_day * DAY
    found = [(float(start), _offset(rules, start))]
    days = range(start, start + YEARS * 366 * DAY, DAY)
    found += [
        _change(rules, day, day + DAY) for day in days if _offset(rules, day) != _offset(rules, day + DAY)
    ]
    return tuple(found)


def _change(rules: ZoneInfo, low: int, high: int) -> tuple[float, float]:
    """The one change between two instants, by halves."""
    before = _offset(rules, low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(rules, middle) == before else (low, middle)
    return float(high), _offset(rules, high)


def _offset(rules: ZoneInfo, at: int) -> float:
    offset = datetime.fromtimestamp(at, UTC).astimezone(rules).utcoffset()
    assert offset is not None
    return offset.total_seconds()
