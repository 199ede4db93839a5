"""Finds entries by what their bytes have, in the database: those that lack it are not read here."""

from __future__ import annotations

from sqlalchemy import ColumnElement, LargeBinary, func, literal

from authz_service.audit.draft import Kind
from authz_service.store.schema import entries
from authz_service.store.transaction import Reader


def has_bytes(reader: Reader, mark: bytes) -> ColumnElement[bool]:
    """Whether an entry's bytes have these."""
    if reader.dialect == "sqlite":
        return func.instr(entries.c.body, mark) > 0
    return func.position(literal(mark, LargeBinary).op("IN")(entries.c.body)) > 0


def may_be(reader: Reader, kind: Kind) -> ColumnElement[bool]:
    """Whether an entry may be of this kind; all that are have it."""
    return has_bytes(reader, f'"kind":"{kind.value}"'.encode())
