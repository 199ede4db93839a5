"""Times as people type them: an instant, how long ago, or how long from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_AGO = re.compile(r"(\d{1,6})(s|min|m|h|d|w)")
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class When(click.ParamType[datetime]):
    """`2026-11-21`, `2026-11-21T14:00` (local time), `2026-11-21T14:00:00Z`, or `90min`, `3h`, `7d` ago."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """In UTC; fails with what can be typed."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        ago = _AGO.fullmatch(text)
        if ago is not None:
            return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("say a time (2026-11-21T14:00), a day (2026-11-21), or how long ago (90min, 3h, 7d)")


class Until(click.ParamType[datetime]):
    """`90min`, `3h`, `7d` from now, or a time as `When` takes it."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """In UTC; fails with what can be typed."""
        if isinstance(value, datetime):
            return value
        text = str(value).strip()
        span = _AGO.fullmatch(text)
        if span is not None:
            return datetime.now(UTC) + timedelta(seconds=int(span[1]) * _UNITS[span[2]])
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail("say a time (2026-11-21T14:00), a day (2026-11-21), or how long (90min, 3h, 7d)")


class Span(click.ParamType[float]):
    """`90s`, `10min`, `3h`, `7d`, in seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Fails with what can be typed."""
        if isinstance(value, float):
            return value
        span = _AGO.fullmatch(str(value).strip())
        if span is None:
            self.fail("say how long: 90s, 10min, 3h, 7d")
        return float(int(span[1]) * _UNITS[span[2]])
