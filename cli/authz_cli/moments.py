"""Times as people read them: in the local time zone, and how far away they are."""

from __future__ import annotations

from datetime import datetime, timedelta

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def moment(at: datetime, *, now: datetime) -> str:
    """`2026-11-21 14:03:10 CET (in 12 min)`. Both times know their zone; `now` is the server's."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S %Z} ({distance(at, now=now)})"


def distance(at: datetime, *, now: datetime) -> str:
    """`in 12 min`, `3 h ago`, `now`."""
    seconds = round((at - now).total_seconds())
    if seconds == 0:
        return "now"
    span = _largest(abs(seconds))
    return f"in {span}" if seconds > 0 else f"{span} ago"


def length(span: timedelta) -> str:
    """`30 min`, `90 s`: the largest unit that is exact."""
    seconds = round(span.total_seconds())
    size, unit = next((s, u) for s, u in _UNITS if seconds % s == 0)
    return f"{seconds // size} {unit}"


def _largest(seconds: int) -> str:
    size, unit = next((s, u) for s, u in _UNITS if seconds >= s)
    return f"{seconds // size} {unit}"
