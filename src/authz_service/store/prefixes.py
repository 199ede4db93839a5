"""Rows whose name begins with something, found by an index on either database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ColumnElement, collate

from authz_service.store.transaction import Reader

_LAST_CHARACTER = "\U0010ffff"


def begins_with(reader: Reader, column: Column[Any], prefix: str) -> ColumnElement[bool]:
    """Whether `column` begins with `prefix`: on SQLite by its own index, on PostgreSQL by one over its bytes.

    PostgreSQL's order is that of a language unless it is told otherwise.
    """
    ordered = column if reader.dialect == "sqlite" else collate(column, "C")
    return (ordered >= prefix) & (ordered < prefix + _LAST_CHARACTER)
