"""What tests of reviewers' acts share: approvals in stages, holds for them, and acts on two replicas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.ballots import Ballot
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldDraft, HoldLimits, HoldSummary
from authz_service.errors import Conflict, Forbidden

TWO = Approval("two", (Stage("true", 2, 60.0), Stage("true", 1, 600.0)))

LIMITS = HoldLimits(claim=300.0)


async def opened(store: Any, draft: HoldDraft) -> HoldSummary:
    hold: HoldSummary = (await store.open_hold(draft, LIMITS)).hold
    return hold


def act(hold: HoldSummary, kind: ActKind, who: str = "rita", **more: Any) -> ActDraft:
    identity = ("https://issuer.example", who)
    return ActDraft(hold.id, kind, identity, more.pop("account", identity), who.title(), **more)


def alone(ballot: Ballot) -> Ballot:
    return replace(ballot, may_vote_in=(), is_break_glass=True)


@asynccontextmanager
async def replicas(place: Any) -> AsyncIterator[tuple[Any, Any]]:
    """Two stores on one PostgreSQL; SQLite serves one process, which races with itself."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(place.store())
        if place.url.startswith("sqlite"):
            yield store, store
        else:
            yield store, await stack.enter_async_context(place.store(instance="two", migrate=False))


async def kinds(store: Any, hold: HoldSummary) -> list[str]:
    return [e.kind for e in await store.entries(hold.session) if e.kind.startswith("hold.")]


async def refused(store: Any, draft: ActDraft) -> str:
    with pytest.raises((Conflict, Forbidden)) as error:
        await store.act(draft, LIMITS)
    return error.value.code
