"""A changed byte of any column, and any row that is deleted, is found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
    update,
)
from sqlalchemy.types import BigInteger
from tests.store.filled_record import change, found, identified, mutated, rows_of

from authz_service.store.schema import (
    api_keys,
    entries,
    grant_acts,
    grant_uses,
    grants,
    head,
    hold_acts,
    holds,
    kept_results,
    metadata,
    outbox,
    payloads,
    revocations,
    session_budgets,
    sessions,
    used_once,
    votes,
)

HELD = (holds, votes, hold_acts, grants, grant_acts, grant_uses)


TABLES = (
    entries,
    payloads,
    head,
    sessions,
    *HELD,
    revocations,
    api_keys,
    session_budgets,
    used_once,
    kept_results,
)


COLUMNS = [(t.name, c.name) for t in TABLES for c in t.c if (t.name, c.name) != ("head", "id")]


def test_every_table_is_verified() -> None:
    of_its_own = {outbox.name}  # whom to tell, in tests/store/test_store_outbox.py
    assert {table.name for table in TABLES} | of_its_own == set(metadata.tables)


def mutations(place: Any, table: Table, name: str, chance: random.Random) -> Iterator[Any]:
    """An UPDATE of this column for some rows, each with one to undo it."""
    rows = rows_of(place, table)
    for row in chance.sample(rows, min(4, len(rows))):
        old = getattr(row, name)
        new = mutated(table.c[name], old, chance)
        undo = update(table).where(identified(table, row, **{name: new})).values({name: old})
        yield update(table).where(identified(table, row)).values({name: new}), undo


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_changed_byte_of_any_column_of_any_table_is_found(filled: Any, table: str, column: str) -> None:
    chance = random.Random(f"{table}.{column}")
    done = 0
    for statement, undo in mutations(filled, metadata.tables[table], column, chance):
        change(filled, statement)
        assert found(filled), f"{table}.{column}: {statement.compile().params}"
        change(filled, undo)
        done += 1
    assert done
    assert found(filled) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.name))
def test_any_row_that_is_deleted_is_missed(filled: Any, table: Table) -> None:
    rows = rows_of(filled, table)
    assert rows
    for row in random.Random(table.name).sample(rows, min(8, len(rows))):
        change(filled, table.delete().where(identified(table, row)))
        assert found(filled)
        change(filled, insert(table).values(row._asdict()))
    assert found(filled) == []


def test_the_types_of_the_columns_are_those_that_the_mutations_know() -> None:
    known = (Boolean, BigInteger, Integer, LargeBinary, String)
    assert all(isinstance(column.type, known) for table in TABLES for column in table.c)
