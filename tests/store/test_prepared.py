"""Statements whose SQL is made once write what SQLAlchemy would have written."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, bindparam, create_engine, insert, update

from authz_service.store.prepared import execute_many

THINGS = Table("things", MetaData(), Column("id", BigInteger, primary_key=True), Column("name", String))


def test_rows_are_written_by_name_in_whatever_order_their_keys_come() -> None:
    with create_engine("sqlite://").begin() as connection:
        THINGS.create(connection)
        execute_many(connection, insert(THINGS), [{"id": 1, "name": "a"}, {"name": "b", "id": 2}])
        execute_many(connection, insert(THINGS), [{"name": None, "id": 3}])
        renamed = update(THINGS).where(THINGS.c.id == bindparam("of_id")).values(name=bindparam("new_name"))
        execute_many(connection, renamed, [{"new_name": "c", "of_id": 2}, {"of_id": 9, "new_name": "d"}])
        assert sorted(map(tuple, connection.execute(THINGS.select()))) == [(1, "a"), (2, "c"), (3, None)]


def test_a_statement_with_a_parameter_that_no_row_has_is_refused() -> None:
    with create_engine("sqlite://").begin() as connection:
        THINGS.create(connection)
        with pytest.raises(ValueError, match="other parameters"):
            execute_many(connection, update(THINGS).where(THINGS.c.id == 1), [{"name": "a"}])
