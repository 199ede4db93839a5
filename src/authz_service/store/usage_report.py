"""A report of use over many days: asked for day by day, each by itself, and added up.

So no question reads more than a day's sessions, others get their turn in between, and one that is given up
ends with the day that it is at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from authz_service.core.limits import DAY
from authz_service.core.usage import Dimension, Usage, UsageQuery
from authz_service.errors import Unreadable

MOST_TOLD_APART: Final = 100_000
"""Callers, models, ... that one report adds up; each takes about half a kilobyte of memory meanwhile."""

_NUMBERS: Final = (
    "requests",
    "limited",
    "held",
    "prompt_tokens",
    "completion_tokens",
    "tokens",
    "size",
)
_Told = tuple[str, str, str, str, str]


def days(query: UsageQuery, *, first: float, now: float) -> Sequence[UsageQuery]:
    """The query in parts of a day of UTC each, the newest first; nothing began before `first`."""
    begin, end = max(query.since, first), now + 1.0  # what began at this very moment counts
    if query.until is not None:
        end = min(end, query.until)
    parts = []
    while begin < end:
        midnight = (begin // DAY + 1) * DAY
        is_last = midnight >= end
        parts.append(replace(query, since=begin, until=query.until if is_last else midnight))
        begin = midnight
    return parts[::-1]


@dataclass(slots=True)
class Report:
    """What the parts of a query have, added up."""

    query: UsageQuery
    _found: dict[_Told, Usage] = field(default_factory=dict)

    def add(self, part: Iterable[Usage]) -> None:
        """Raises `Unreadable` where that is too much to be told apart."""
        for usage in part:
            told = (usage.day, usage.caller, usage.group, usage.key, usage.model)
            known = self._found.get(told)
            self._found[told] = usage if known is None else _sum(known, usage)
        if len(self._found) > MOST_TOLD_APART:
            raise Unreadable(
                f"the report would tell apart more than {MOST_TOLD_APART:,} callers, keys, groups, models or"
                " days: tell fewer of them apart, or ask about fewer days",
                code="report_too_large",
            )

    def rows(self) -> Sequence[Usage]:
        """By day the newest first, else those with the most requests; at most as many as the query wants."""
        rows = sorted(self._found.items(), key=lambda each: (-each[1].requests, each[0]))
        if Dimension.DAY in self.query.by:
            rows.sort(key=lambda each: each[1].day, reverse=True)
        return tuple(usage for _, usage in rows[: self.query.most])


def gave_up(done: int, days: int, seconds: float) -> Unreadable:
    """That there are too many sessions to be added up in so many seconds."""
    return Unreadable(
        f"the newest {done} of {days} days were added up in {seconds:.0f} s, and the rest was given up:"
        " ask about fewer days at once (--since, --until), or about one caller, key or model",
        code="report_too_large",
    )


def _sum(one: Usage, other: Usage) -> Usage:
    numbers = {name: getattr(one, name) + getattr(other, name) for name in _NUMBERS}
    return replace(one, subject=max(one.subject, other.subject), **numbers)
