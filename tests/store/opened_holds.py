"""Holds that are opened, and what is on their record, for the tests of holds."""

from __future__ import annotations

from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldDraft, HoldLimits, HoldSummary
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits()


async def opened(store: SqlStore, draft: HoldDraft, limits: HoldLimits = LIMITS) -> HoldSummary:
    opening = await store.open_hold(draft, limits)
    assert isinstance(opening, Opened)
    return opening.hold


async def kinds(store: SqlStore, session: str) -> list[str]:
    return [entry.kind for entry in await store.entries(session)]
