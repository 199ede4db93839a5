"""Rows that are put in place of what the store wrote."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, text


def put(place: Any, statement: str, **values: Any) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount > 0
    engine.dispose()
