"""Grants whose rows somebody alters."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, text


def alter(place: Any, statement: str) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0
    engine.dispose()
