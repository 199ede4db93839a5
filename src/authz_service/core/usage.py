"""How much was used, of what, by whom; and what is left of each limit."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from authz_service.core.limits import CountedBy, Quota
from authz_service.values import value
from authz_service.view.caller import Caller

MOST_ROWS: Final = 10_000
"""Of one report."""


RATES: Final = (
    "requests_per_minute",
    "tokens_per_minute",
    "tokens_per_day",
    "recorded_bytes_per_day",
    "concurrent",
    "open_holds",
)
"""The names of `Rates`, as the configuration, refusals and metrics have them."""


class Dimension(StrEnum):
    """What a report tells apart. A day is one of UTC."""

    DAY = "day"
    CALLER = "caller"
    GROUP = "group"
    KEY = "key"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """Requests that began from `since` on and before `until` (seconds since the epoch); "" is anybody's.

    `caller` is a subject, person or pseudonym, `key` the id or the name of an API key; `pseudonym` is that
    of one caller and of nobody whose name reads the same.
    """

    by: tuple[Dimension, ...]
    since: float
    until: float | None = None
    caller: str = ""
    group: str = ""
    key: str = ""
    model: str = ""
    most: int = MOST_ROWS
    pseudonym: str = ""


@value
class Usage:
    """What is counted together; what the query does not tell apart is "".

    `caller` is a pseudonym and `subject` the name behind it, "" where it is on record no more; `key` is an
    id. `requests` are those that limits count, `limited` those that one refused, `held` those that waited
    for people. `prompt_tokens` and `completion_tokens` are what models said, `tokens` what limits count, with
    estimates where models say nothing. `size` are the bytes of bodies on record.
    """

    day: str = ""
    caller: str = ""
    subject: str = ""
    group: str = ""
    key: str = ""
    model: str = ""
    requests: int = 0
    limited: int = 0
    held: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    tokens: int = 0
    size: int = 0


class ActiveCaller(NamedTuple):
    """Somebody who has asked lately, as of their last request; claims and scope are not on record."""

    pseudonym: str
    caller: Caller


class Used(NamedTuple):
    """What a quota has used, without the request that asks; what its rates say nothing of is 0."""

    requests: int = 0
    minute: int = 0
    day: int = 0
    bytes: int = 0
    open: int = 0
    holds: int = 0


@value
class Left:
    """One limit, and what is left of it; at 0, after how many seconds there is room again.

    With `models` it is one of requests to these.
    """

    by: CountedBy
    name: str
    what: str
    limit: int
    used: int
    again: float | None = None
    models: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """Never below 0: tokens may be overdrawn."""
        return max(0, self.limit - self.used)


class UsageStore(Protocol):
    """Asks the record. All raise `Unavailable`."""

    async def usage(self, query: UsageQuery) -> Sequence[Usage]:
        """At most `most`: by day the newest first, else those with the most requests.

        Raises `Unreadable` (`report_too_large`) for more sessions than can be added up in half a minute, and
        for more callers, models, ... than can be told apart.
        """
        ...

    async def left(self, quotas: Collection[Quota]) -> Sequence[Left]:
        """Each limit of each quota, in order."""
        ...

    async def active_callers(self, since: float, caller: str, *, most: int) -> Sequence[ActiveCaller]:
        """Who has asked since then, the last first; `caller` as in `UsageQuery`.

        Without those who cannot be read any more; the log names the session.
        """
        ...


def limits_of(quota: Quota, used: Used) -> Iterator[tuple[str, int, int]]:
    """Each rate that a quota has: its name, the limit, and what is used of it."""
    rates = quota.rates
    limits = (
        rates.requests_per_minute,
        rates.tokens_per_minute,
        rates.tokens_per_day,
        rates.recorded_bytes_per_day,
        rates.concurrent,
        rates.open_holds,
    )
    each = (used.requests, used.minute, used.day, used.bytes, used.open, used.holds)
    for what, limit, has in zip(RATES, limits, each, strict=True):
        if limit is not None:
            yield what, limit, has
