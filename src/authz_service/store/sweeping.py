"""Goes over holds for which something is due, past those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import structlog
from sqlalchemy import Column, ColumnElement, Row, select, tuple_

from authz_service.errors import Unavailable
from authz_service.store.schema import holds
from authz_service.store.transaction import Transaction

log = structlog.get_logger(__name__)

SWEPT_AT_ONCE = 256

Found = TypeVar("Found")


def due(
    transaction: Transaction,
    when: Column[int],
    wanted: ColumnElement[bool],
    read: Callable[[Row[Any]], Found],
    named: set[str],
) -> Iterator[tuple[Row[Any], Found]]:
    """The wanted holds with what `read` finds in each, by the column `when`, the earliest first; at most 256.

    One of which `read`, which changes nothing, says that it is damaged keeps no other from its turn. The log
    names it once: `named` are those that it has named.
    """
    query = select(holds).where(wanted).order_by(when, holds.c.id).limit(SWEPT_AT_ONCE)
    rows, has_any = transaction.read(query).all(), False
    while rows:
        for row in rows:
            try:
                found = read(row)
            except Unavailable as damage:
                _name(row.id, damage, named)
                continue
            has_any = True
            yield row, found
        if has_any or len(rows) < SWEPT_AT_ONCE:
            return
        passed = tuple_(when, holds.c.id) > (getattr(rows[-1], when.name), rows[-1].id)
        rows = transaction.read(query.where(passed)).all()


def _name(hold: str, damage: Unavailable, named: set[str]) -> None:
    if hold not in named:
        named.add(hold)
        log.error("hold.damaged", hold=hold, error=type(damage.__cause__).__name__)
