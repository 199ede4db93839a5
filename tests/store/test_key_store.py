"""Which keys a person has is found by an index: purges ask it while callers wait."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from authz_service.keys.master_key import master_key_from_file
from authz_service.store.keyring import Keyring
from authz_service.store.open_keys import open_keyring

NAME = "0a1b"


def opened(url: str, tmp_path: Path) -> tuple[Keyring, Engine]:
    master = partial(master_key_from_file, tmp_path / "master.key")
    keyring = open_keyring(url, lambda may_create: master(may_create=may_create))
    return keyring, keyring._store._database.writing


def filled(keyring: Keyring) -> set[str]:
    """Two keys of one person, and some of people whose names are close to theirs; the ids of the two."""
    first = keyring.current(NAME).id
    keyring.retire(NAME)
    for other in ("", "0a1", "0a1a", "0a1b0", "0a1c", "0A1B"):
        keyring.current(other)
        keyring.retire(other)
        keyring.current(other)
    return {first, keyring.current(NAME).id}


def plan(keyring: Keyring, engine: Engine, explain: str) -> str:
    said: list[tuple[str, Any]] = []

    def listen(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", listen)
    keyring.held(NAME)
    event.remove(engine, "before_cursor_execute", listen)
    (asked,) = [one for one in said if "FROM authz_subject_keys" in one[0]]
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # of a small table it would read all
            connection.exec_driver_sql("SET enable_seqscan = off")
        rows = connection.exec_driver_sql(f"{explain} {asked[0]}", asked[1]).all()
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("RESET enable_seqscan")
        return "\n".join(str(row[-1]) for row in rows)


def test_the_keys_of_one_person_are_found_in_sqlite_without_a_look_at_all(tmp_path: Path) -> None:
    keyring, engine = opened(f"sqlite:///{tmp_path}/keys.db", tmp_path)
    try:
        theirs = filled(keyring)
        assert set(keyring.held(NAME)) == theirs
        assert "SEARCH" in (found := plan(keyring, engine, "EXPLAIN QUERY PLAN"))
        assert "SCAN" not in found
    finally:
        keyring.close()


@pytest.mark.postgres
def test_the_keys_of_one_person_are_found_in_postgres_by_an_index_that_older_stores_get(
    postgres: Any, tmp_path: Path
) -> None:
    name = postgres.create()
    try:
        for is_first in (True, False):
            keyring, engine = opened(postgres.url(name), tmp_path)
            try:
                if is_first:
                    theirs = filled(keyring)
                assert set(keyring.held(NAME)) == theirs
                assert "Index Cond: (((subject)::text >= " in plan(keyring, engine, "EXPLAIN")
                with engine.connect() as connection:
                    connection.exec_driver_sql("DROP INDEX authz_subject_keys_in_order")
            finally:
                keyring.close()
    finally:
        postgres.drop(name)
