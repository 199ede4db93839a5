"""What quotas have used: requests, tokens and bytes of the sessions on record, in windows that slide.

Sums over past ten minutes in which everything has ended are remembered, so that a day costs what has changed,
not what it has sessions. What is remembered is what the record says, and would be read again the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, and_, func, literal_column, select, text

from authz_service.core.limits import DAY, LONGEST_OPEN, MINUTE, CountedBy, Quota, QuotaKey
from authz_service.core.stored_holds import HoldState
from authz_service.core.usage import Used
from authz_service.store.column_texts import micro
from authz_service.store.schema import IS_OPEN, holds, session_budgets, sessions
from authz_service.store.transaction import Reader

LIMITED: Final = "limited"
"""The status of a session that a limit refused: it is on record, and does not count."""

SPAN: Final = micro(600.0)
"""Microseconds of which a sum is remembered."""
SETTLED: Final = micro(60.0)
"""Microseconds since the last end in a span, before its sum is remembered: no transaction takes as long."""
WORTH: Final = 500
"""Sessions from which on a sum is worth remembering; fewer are read as fast."""
MOST_QUOTAS: Final = 1_000
"""Quotas of which sums are remembered."""
ROWS_AT_ONCE: Final = 500

_TOKENS = func.coalesce(sessions.c.tokens, 0)
_BYTES = func.coalesce(sessions.c.bytes, 0)
_INTERRUPTED = "interrupted"  # which may yet go on in another process


class Sum(NamedTuple):
    """Of one span, or of several."""

    tokens: int = 0
    bytes: int = 0

    def plus(self, other: Sum) -> Sum:
        """Both."""
        return Sum(self.tokens + other.tokens, self.bytes + other.bytes)


@dataclass(slots=True)
class Remembered:
    """Sums of spans that change no more, by quota and number of the span. For one thread."""

    sums: dict[QuotaKey, dict[int, Sum]] = field(default_factory=dict)

    def of(self, quota: Quota, *, first: int) -> dict[int, Sum]:
        """Those of a quota from the span `first` on; older ones are forgotten."""
        found = self.sums.get(quota.key, {})
        for number in [number for number in found if number < first]:
            del found[number]
        return found

    def add(self, quota: Quota, number: int, found: Sum) -> None:
        """That of one span."""
        if quota.key not in self.sums and len(self.sums) >= MOST_QUOTAS:
            del self.sums[next(iter(self.sums))]
        self.sums.setdefault(quota.key, {})[number] = found


class Use:
    """One look at what was used, at the moment of `reader`.

    The session `but` does not count: it may come again, after a process died that had recorded its beginning.
    """

    def __init__(self, reader: Reader, remembered: Remembered | None = None, *, but: str = "") -> None:
        self._reader, self._but = reader, but
        self._remembered = Remembered() if remembered is None else remembered
        self._firsts: dict[int, int | None] = {}

    def of(self, quota: Quota) -> Used:
        """What the quota has used of each of its rates, but holds: see `holds`."""
        rates = quota.rates
        requests = minute = opened = 0
        if rates.requests_per_minute is not None or rates.tokens_per_minute is not None:
            requests, minute = self._minute(quota)
        if rates.concurrent is not None:
            opened = self._open(quota)
        day = Sum()
        if rates.tokens_per_day is not None or rates.recorded_bytes_per_day is not None:
            for _, found in self._spans(quota):
                day = day.plus(found)
        return Used(requests, minute, day.tokens, day.bytes, opened)

    def holds(self, quota: Quota, *, but: str = "") -> int:
        """How many holds of the quota's sessions pend, without the hold `but`; see `Rates.open_holds`."""
        query = (
            select(func.count())
            .select_from(holds.join(sessions, sessions.c.id == holds.c.session))
            .where(
                text(IS_OPEN),  # as the index has it: few are open
                holds.c.state == HoldState.PENDING.value,
                holds.c.deadline > self._reader.now,
                holds.c.id != but,
                _is_of(quota, 0, is_plain=False),
            )
        )
        return int(self._reader.read(query).scalar_one())

    def frees(self, quota: Quota, what: str, too_many: int) -> float:
        """Seconds until so much of the rate `what` is older than its window that `too_many` less is used."""
        now = self._reader.now
        if what == "concurrent":
            return 1.0  # nobody knows
        if what == "open_holds":
            return MINUTE  # nor here, and people decide
        window = micro(MINUTE if what.endswith("_minute") else DAY)
        begin = now - window + 1
        if window == micro(DAY):
            begin, too_many = self._span_that_frees(quota, what, begin, too_many)
        last = now
        for started_at, amount in self._oldest(quota, what, begin):
            last = started_at
            too_many -= amount
            if too_many <= 0:
                break
        return (last + window - now) / 1_000_000

    def _span_that_frees(self, quota: Quota, what: str, begin: int, too_many: int) -> tuple[int, int]:
        for number, found in self._spans(quota):
            amount = found.bytes if what.startswith("recorded_bytes") else found.tokens
            if amount >= too_many:
                return max(begin, number * SPAN), too_many
            too_many -= amount
        return self._reader.now + 1, too_many

    def _minute(self, quota: Quota) -> tuple[int, int]:
        counted = self._counted(quota, self._reader.now - micro(MINUTE) + 1)
        if counted is None:
            return 0, 0
        sums = (func.count().label("requests"), func.coalesce(func.sum(_TOKENS), 0).label("tokens"))
        row = self._reader.read(select(*sums).where(counted)).one()
        return int(row.requests), int(row.tokens)

    def _open(self, quota: Quota) -> int:
        begin = self._reader.now - micro(LONGEST_OPEN) + 1
        first = self._first(begin)
        if first is None:
            return 0
        # Few have no end. Said of an expression, whose it is tempts neither database to begin with that.
        query = (
            select(func.count())
            .select_from(sessions)
            .where(
                sessions.c.ended_at.is_(None),
                sessions.c.started_at >= begin,
                sessions.c.seq >= first,
                sessions.c.status != LIMITED,
                sessions.c.id != self._but,
                _is_of(quota, first, is_plain=False),
            )
        )
        return int(self._reader.read(query).scalar_one())

    def _spans(self, quota: Quota) -> Iterator[tuple[int, Sum]]:
        """The sums of the spans of the last 24 hours, oldest first; of the first only what is within."""
        now = self._reader.now
        begin = now - micro(DAY) + 1
        first, last = begin // SPAN, now // SPAN
        known = self._remembered.of(quota, first=first + 1)
        number = first
        while number <= last:
            if number in known:
                yield number, known[number]
                number += 1
                continue
            until = number + 1
            while until <= last and until not in known:
                until += 1
            yield from self._read(quota, max(begin, number * SPAN), number, until)
            number = until

    def _read(self, quota: Quota, begin: int, number: int, until: int) -> list[tuple[int, Sum]]:
        """The spans from `number` up to, and without, `until`, begun no earlier than `begin`."""
        now = self._reader.now
        end = until * SPAN
        counted = self._counted(quota, begin, end if end <= now else None)
        if counted is None:
            return []
        rows = self._reader.read(_by_span(counted)).all()
        found = {int(row.number): Sum(int(row.tokens), int(row.bytes)) for row in rows}
        if sum(row.requests for row in rows) >= WORTH:
            moving = {int(row.number) for row in rows if row.open or row.last_end > now - SETTLED}
            whole = range(number if begin == number * SPAN else number + 1, until)
            for each in whole:
                if each not in moving and (each + 1) * SPAN <= now - SETTLED:
                    self._remembered.add(quota, each, found.get(each, Sum()))
        return sorted(found.items())

    def _oldest(self, quota: Quota, what: str, begin: int) -> Iterator[tuple[int, int]]:
        """When each session began since then, oldest first, and how much it counts for."""
        counted = self._counted(quota, begin)
        if counted is None:
            return
        is_bytes = what.startswith("recorded_bytes")
        amount: ColumnElement[Any] = _BYTES if is_bytes else _TOKENS
        seen = 0
        while True:
            query = (
                select(sessions.c.seq, sessions.c.started_at, amount.label("amount"))
                .where(counted, sessions.c.seq > seen)
                .order_by(sessions.c.seq)
                .limit(ROWS_AT_ONCE)
            )
            rows = self._reader.read(query).all()
            for row in rows:
                yield row.started_at, 1 if what.startswith("requests") else int(row.amount)
            if len(rows) < ROWS_AT_ONCE:
                return
            seen = rows[-1].seq

    def _counted(self, quota: Quota, begin: int, end: int | None = None) -> ColumnElement[bool] | None:
        """The sessions that began from `begin` on, and before `end`, and count; None where there are none."""
        first = self._first(begin)
        if first is None:
            return None
        # Numbers and times rise together: the indexes of callers and models have the one, that of keys the
        # other.
        narrow = [
            _is_of(quota, first, is_plain=True),
            sessions.c.seq >= first,
            sessions.c.started_at >= begin,
            sessions.c.status != LIMITED,
            sessions.c.id != self._but,
        ]
        if end is not None:
            below = self._first(end)
            narrow.append(sessions.c.started_at < end)
            if below is not None:
                narrow.append(sessions.c.seq < below)
        return and_(*narrow)

    def _first(self, at: int) -> int | None:
        """The number of the first session that began at a time or later."""
        if at not in self._firsts:
            query = select(sessions.c.seq).where(sessions.c.started_at >= at)
            ordered = query.order_by(sessions.c.started_at, sessions.c.seq).limit(1)
            self._firsts[at] = self._reader.read(ordered).scalar()
        return self._firsts[at]


def _is_of(quota: Quota, first: int, *, is_plain: bool) -> ColumnElement[bool]:
    whose = _whose(quota, first, is_plain=is_plain)
    return and_(whose, sessions.c.model.in_(quota.models)) if quota.models else whose


def _whose(quota: Quota, first: int, *, is_plain: bool) -> ColumnElement[bool]:
    if quota.by is CountedBy.GROUP:
        counts = select(session_budgets.c.session).where(
            session_budgets.c.budget == quota.name, session_budgets.c.session >= first
        )
        return sessions.c.seq.in_(counts)
    column: ColumnElement[str] = {
        CountedBy.CALLER: sessions.c.caller,
        CountedBy.KEY: sessions.c.key,
        CountedBy.MODEL: sessions.c.model,
    }[quota.by]
    return (column if is_plain else column.concat("")) == quota.name


def _by_span(counted: ColumnElement[bool]) -> Select[Any]:
    # Not a parameter: PostgreSQL takes two of them for different ones, and the grouping for another.
    number = (sessions.c.started_at // literal_column(str(SPAN), BigInteger)).label("number")
    is_open = sessions.c.ended_at.is_(None) | (sessions.c.status == _INTERRUPTED)
    return (
        select(
            number,
            func.count().label("requests"),
            func.coalesce(func.sum(_TOKENS), 0).label("tokens"),
            func.coalesce(func.sum(_BYTES), 0).label("bytes"),
            func.count().filter(is_open).label("open"),
            func.coalesce(func.max(sessions.c.ended_at), 0).label("last_end"),
        )
        .where(counted)
        .group_by(number)
    )
