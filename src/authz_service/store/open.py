"""Opens a store by its URL: checks the schema, durability and the head before anything is promised."""

from __future__ import annotations

import asyncio
from typing import assert_never

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from authz_service.audit.merkle import Frontier
from authz_service.errors import Misconfigured, Unavailable
from authz_service.store.batch import Committer
from authz_service.store.connecting import open_database
from authz_service.store.database import Database, HighWater, HostClock, read_head
from authz_service.store.faults import without_values
from authz_service.store.migrate import SchemaState, state_of, upgrade
from authz_service.store.schema import entries
from authz_service.store.sql_store import SqlStore
from authz_service.store.sqlite import Sqlite
from authz_service.store.transaction import Pseudonym
from authz_service.store.writer import Writer, WriterLimits

_DEFAULT_LIMITS = WriterLimits()


async def open_store(
    url: str,
    *,
    instance: str,
    pseudonym: Pseudonym,
    clock: HostClock | None = None,
    migrate: bool = False,
    limits: WriterLimits = _DEFAULT_LIMITS,
) -> SqlStore:
    """Open `sqlite:///FILE` or `postgresql://...`; `await store.close()` when done.

    A SQLite file is created and brought up to date; PostgreSQL only with `migrate`. `clock` (seconds
    since the epoch) takes the place of the database's own. `limits.patience` is how many seconds
    anything may wait. Raises `Misconfigured` where the schema, the durability or the head is not as
    it must be, and `Unavailable` when the database is away.
    """
    database = await asyncio.to_thread(open_database, url, clock=clock, patience=limits.patience)
    try:
        must_migrate = migrate or isinstance(database, Sqlite)
        high_water = HighWater()
        size = await asyncio.to_thread(_prepare, database, high_water, must_migrate)
    except BaseException:
        await asyncio.to_thread(database.close)
        raise
    committer = Committer(database, instance=instance, pseudonym=pseudonym, high_water=high_water)
    return SqlStore(
        database,
        Writer(committer, limits),
        instance=instance,
        high_water=high_water,
        size_at_start=size,
        patience=limits.patience,
    )


def _prepare(database: Database, high_water: HighWater, must_migrate: bool) -> int:
    try:
        with database.writing.connect() as connection:
            database.check_durability(connection)
            check_schema(database, connection, must_migrate=must_migrate)
            size = _check_head(connection)
            high_water.advance(read_head(connection).last_at)
            return size
    except SQLAlchemyError as error:
        raise Unavailable("the record store cannot be opened", code="store_unavailable") from without_values(
            error
        )


def check_schema(database: Database, connection: Connection, *, must_migrate: bool) -> None:
    """Bring the schema up to date where that may be done here, or raise `Misconfigured`."""
    state = state_of(connection)
    if must_migrate and state in (SchemaState.ABSENT, SchemaState.OLDER):
        upgrade(database)
        state = state_of(connection)
    match state:
        case SchemaState.CURRENT:
            return
        case SchemaState.ABSENT:
            raise Misconfigured("the database has no tables of ours yet; run: authz store migrate")
        case SchemaState.OLDER:
            raise Misconfigured("the database is of an older version; run: authz store migrate")
        case SchemaState.NEWER:
            raise Misconfigured("the database is of a newer version of authz; upgrade this one")
        case _ as never:
            assert_never(never)


def _check_head(connection: Connection) -> int:
    """The number of entries; raises `Misconfigured` when the head tells of others than there are."""
    size, frontier, root, _ = read_head(connection)
    last = connection.execute(select(func.max(entries.c.seq))).scalar() or 0
    try:
        is_whole = size == last and Frontier.from_bytes(size, bytes(frontier)).root() == bytes(root)
    except ValueError:
        is_whole = False
    if not is_whole:
        raise Misconfigured(
            f"the record is damaged: its head counts {size} entries, the last one is number {last};"
            " restore the database from a backup, and keep this one as evidence"
        )
    return size
