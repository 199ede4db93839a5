"""Requests under limits, and the `UsageStore` of core/usage, over SQL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from functools import partial

from authz_service.audit.draft import EntryDraft
from authz_service.core.limits import Admission, Demand, Quota
from authz_service.core.usage import ActiveCaller, Left, Usage, UsageQuery
from authz_service.store import admitting, usage_rows
from authz_service.store.parts.units import SqlUnits, payload_bytes
from authz_service.store.usage_report import Report, days, gave_up
from authz_service.store.used import Remembered

REPORT_SECONDS = 25.0
"""For what reads many sessions; whoever asked on the command line waits for 30."""


class SqlUsage(SqlUnits):
    """Counts requests, and reports what was used."""

    _past_use: Remembered
    """The writer's thread alone looks into it."""

    def admit(self, demand: Demand, draft: EntryDraft) -> asyncio.Future[Admission]:
        """See `Store.admit`."""
        past = self._past_use
        return self._writer.start(
            lambda t: admitting.admit(t, demand, draft, past), size=payload_bytes((draft,))
        )

    async def usage(self, query: UsageQuery) -> Sequence[Usage]:
        """See `UsageStore.usage`."""
        bounds = await self._read(lambda reader: usage_rows.bounds(reader, query.since))
        if bounds is None:
            return ()
        report = Report(query)
        parts = days(query, first=bounds[0], now=bounds[1])
        ends = time.monotonic() + REPORT_SECONDS
        for done, part in enumerate(parts):
            try:
                async with asyncio.timeout(max(0.0, ends - time.monotonic())):
                    rows = await self._read(
                        partial(usage_rows.usage, query=part), patience=2 * REPORT_SECONDS
                    )
            except TimeoutError as error:
                raise gave_up(done, len(parts), REPORT_SECONDS) from error
            report.add(rows)
        return report.rows()

    async def left(self, quotas: Collection[Quota]) -> Sequence[Left]:
        """See `UsageStore.left`."""
        return await self._read(lambda reader: usage_rows.left(reader, quotas), patience=REPORT_SECONDS)

    async def active_callers(self, since: float, caller: str, *, most: int) -> Sequence[ActiveCaller]:
        """See `UsageStore.active_callers`."""
        return await self._read(
            lambda reader: usage_rows.active_callers(reader, since, caller, most=most),
            patience=REPORT_SECONDS,
        )
