"""Statements whose SQL is made once write every row, in blocks, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError, OperationalError

from authz_service.store.connecting import open_database
from authz_service.store.prepared import MOST_ROWS, insert_rows, together, update_rows
from authz_service.store.schema import entries, payloads, sessions

COUNTS = [1, 2, 3, MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 1, 3 * MOST_ROWS + 7]

SESSION = {
    **dict.fromkeys(("instance", "caller", "subject", "person", "api", "method", "path", "model"), ""),
    **dict.fromkeys(("decision", "rule", "status"), ""),
    "started_at": 0,
}


@pytest.fixture
def connection(place: Any) -> Iterator[Connection]:
    """As the writer has it: in autocommit mode."""
    database = open_database(place.url)
    with database.writing.connect() as connection:
        yield connection
    database.close()


@pytest.mark.parametrize("count", COUNTS)
def test_all_rows_are_inserted_whatever_their_number(connection: Connection, count: int) -> None:
    rows = [(i, f"s{i}" if i % 2 else None, bytes([i % 256])) for i in range(1, count + 1)]
    insert_rows(connection, entries, ("seq", "session", "body"), rows)
    columns = (entries.c.seq, entries.c.session, entries.c.body)
    found = connection.execute(select(*columns).order_by(entries.c.seq))
    assert [(seq, session, bytes(body)) for seq, session, body in found] == rows


def test_columns_that_are_not_named_stay_null(connection: Connection) -> None:
    insert_rows(connection, entries, ("seq", "body"), [(1, b"x")])
    assert connection.execute(select(entries.c.session)).scalar_one() is None


@pytest.mark.parametrize("count", COUNTS)
def test_each_row_is_updated_with_its_own_values_and_no_other_row(connection: Connection, count: int) -> None:
    connection.execute(insert(sessions), [SESSION | {"id": f"s{i}", "seq": i} for i in range(count + 1)])
    rows = [(f"status {i}", i if i % 2 else None, f"s{i}") for i in reversed(range(count))]
    update_rows(connection, sessions, ("status", "ended_at"), (), rows)
    found = connection.execute(select(sessions.c.status, sessions.c.ended_at, sessions.c.id))
    assert set(map(tuple, found)) == {*rows, ("", None, f"s{count}")}


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_column_is_filled_only_where_it_is_empty(connection: Connection, at_once: int) -> None:
    before = {"null": None, "empty": "", "full": "kept"}
    rows = [SESSION | {"id": i, "seq": n, "hold": h} for n, (i, h) in enumerate(before.items())]
    connection.execute(insert(sessions), rows)
    changed = [("held", "filled", i) for i in before]
    for start in range(0, len(changed), at_once):
        update_rows(connection, sessions, ("status",), ("hold",), changed[start : start + at_once])
    found = connection.execute(select(sessions.c.id, sessions.c.status, sessions.c.hold))
    held = {"null": "filled", "empty": "filled", "full": "kept"}
    assert {tuple(row) for row in found} == {(i, "held", hold) for i, hold in held.items()}


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_status_moves_only_where_nobody_said_that_it_is_to_end(
    connection: Connection, at_once: int
) -> None:
    rows = [SESSION | {"id": i, "seq": n, "status": i} for n, i in enumerate(("open", "killing"))]
    connection.execute(insert(sessions), rows)
    changed = [("allow", "h", "released", i) for i in ("open", "killing")]
    for start in range(0, len(changed), at_once):
        block = changed[start : start + at_once]
        update_rows(connection, sessions, ("decision",), ("hold",), block, ("status",))
    found = connection.execute(select(sessions.c.id, sessions.c.decision, sessions.c.hold, sessions.c.status))
    assert {tuple(row) for row in found} == {
        ("open", "allow", "h", "released"),
        ("killing", "allow", "h", "killing"),
    }


def test_columns_in_another_order_than_the_tables_are_refused(connection: Connection) -> None:
    with pytest.raises(ValueError, match="another order"):
        insert_rows(connection, payloads, ("salt", "digest", "body"), [(b"", b"", b"")])


def test_a_row_that_the_database_refuses_is_an_error_without_its_values(connection: Connection) -> None:
    with pytest.raises(IntegrityError) as error:
        insert_rows(connection, payloads, ("digest", "body"), [(b"digest", b"secret")])
    assert error.value.params is None
    assert not error.value.connection_invalidated


def test_what_is_written_together_is_all_there_afterwards(connection: Connection) -> None:
    rows = [(i, b"x") for i in range(1, 100)]
    with together(connection):
        insert_rows(connection, entries, ("seq", "body"), rows)
        update_rows(connection, sessions, (), ("hold",), [("h", "nobody's")])
        insert_rows(connection, entries, ("seq", "body"), [(100, b"y")])
    found = connection.execute(select(entries.c.seq, entries.c.body).order_by(entries.c.seq))
    assert [(seq, bytes(body)) for seq, body in found] == [*rows, (100, b"y")]


def test_of_what_is_written_together_the_first_fault_is_raised_and_nothing_after_it_done(
    connection: Connection,
) -> None:
    def write() -> None:
        with together(connection):
            insert_rows(connection, payloads, ("digest", "body"), [(b"digest", b"secret")])
            insert_rows(connection, entries, ("seq", "body"), [(1, b"x")])

    with pytest.raises(IntegrityError) as error:
        write()
    assert error.value.params is None
    assert not error.value.connection_invalidated
    assert connection.execute(select(entries.c.seq)).all() == []
    insert_rows(connection, entries, ("seq", "body"), [(1, b"x")])
    assert connection.execute(select(entries.c.seq)).scalars().all() == [1]


@pytest.mark.postgres
def test_a_connection_that_is_lost_meanwhile_is_one_fault_and_nothing_in_the_log(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    database = open_database(postgres_url)

    def write(connection: Connection) -> None:
        with together(connection):
            insert_rows(connection, entries, ("seq", "body"), [(1, b"x")])
            driver = connection.connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 10000)", (driver.info.backend_pid,))
            insert_rows(connection, entries, ("seq", "body"), [(2, b"x" * 1000)])
            insert_rows(connection, entries, ("seq", "body"), [(3, b"x" * 1000)])

    with database.writing.connect() as connection:
        with pytest.raises(OperationalError) as error:
            write(connection)
        assert error.value.connection_invalidated
        connection.invalidate()
    database.close()
    assert caplog.messages == []
