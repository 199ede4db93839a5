"""Holds whose rows are spoilt, and what is said of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits, HoldSummary
from authz_service.errors import Unavailable
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits()
ONE = Approval("one", (Stage("true", 1, 600.0),))


async def opened(
    store: SqlStore, make: Any, request: str = "the request", *approvals: Approval
) -> HoldSummary:
    opening = await store.open_hold(make.hold(request=request, approvals=approvals or (ONE,)), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


async def code_of(asked: Awaitable[object]) -> str:
    with pytest.raises(Unavailable) as refused:
        await asked
    return refused.value.code


def spoil(place: Any, hold: str, detail: str) -> None:
    change(place, "UPDATE holds SET detail = :detail WHERE id = :id", detail=detail, id=hold)


def change(place: Any, statement: str, take: Callable[[str], None] | None = None, **values: str) -> None:
    """What somebody does to the database behind our back."""
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        assert result.rowcount != 0
        if take is not None:
            take(result.scalar_one())
    engine.dispose()
