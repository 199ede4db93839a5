"""What tests of limits share: a demand, and exchanges that begin and end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from tests.store.drafts import Make

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.limits import (
    Admission,
    CountedBy,
    Demand,
    Quota,
    Rates,
)
from authz_service.store.sql_store import SqlStore

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def demand(*, caller: str = "alice", tokens: int = 0, **rates: int) -> Demand:
    return Demand((Quota(CountedBy.CALLER, f"p-{caller}", Rates(**rates)),), prompt=tokens)


def begun(make: Make, session: str, caller: str, wanted: Demand) -> EntryDraft:
    draft = make.received(session, caller)
    counted: dict[str, Scalar] = {"model": "llama", "tokens": wanted.tokens, "bytes": wanted.size}
    budgets: dict[str, list[Scalar]] = {"budgets": [*wanted.budgets]} if wanted.budgets else {}
    return EntryDraft(draft.kind, session, {**draft.data, **counted, **budgets}, draft.payloads)


def ended(session: str, outcome: str = "completed", **data: int) -> EntryDraft:
    return EntryDraft(Kind.EXCHANGE_ENDED, session, {"outcome": outcome, **data})


async def admit(
    store: SqlStore, make: Make, wanted: Demand, *, caller: str = "alice", session: str = ""
) -> Admission:
    session = session or uuid.uuid4().hex
    return await store.admit(wanted, begun(make, session, caller, wanted))
