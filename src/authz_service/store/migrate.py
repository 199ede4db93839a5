"""The database's schema: which version it has, and bringing it up to date with Alembic."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from authz_service.store.away import cannot_be_opened
from authz_service.store.connecting import open_database
from authz_service.store.database import Database
from authz_service.store.faults import without_values
from authz_service.store.schema import REVISIONS

MIGRATIONS = Path(__file__).parent / "migrations"
VERSIONS_TABLE = "authz_schema"

_MIGRATION_LOCK = 0x617574687A  # "authz": PostgreSQL lets one process migrate at a time


class SchemaState(StrEnum):
    """What a database has, compared with what this version of the program needs."""

    ABSENT = "absent"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def state_of(connection: Connection) -> SchemaState:
    """The state of the schema that `connection` sees."""
    if not inspect(connection).has_table(VERSIONS_TABLE):
        return SchemaState.ABSENT
    query = text(f"SELECT version_num FROM {VERSIONS_TABLE}")  # noqa: S608 -- a name of our own
    found = connection.execute(query).scalars().all()
    if not found:
        return SchemaState.ABSENT
    if found == [REVISIONS[-1]]:
        return SchemaState.CURRENT
    return SchemaState.OLDER if set(found) <= set(REVISIONS) else SchemaState.NEWER


def upgrade(database: Database) -> None:
    """Bring the schema up to date in one transaction; nothing to do when it is."""
    # Alembic takes 400 ms to import, and is needed once in a database's life.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.writing.connect() as connection:
        is_postgres = connection.dialect.name == "postgresql"
        connection.exec_driver_sql("BEGIN" if is_postgres else "BEGIN IMMEDIATE")
        try:
            if is_postgres:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def migrate(url: str) -> SchemaState:
    """Bring the database of `url` up to date; what it was before. One that is newer is left alone.

    Raises `Misconfigured`, also for a SQLite file in use, and `Unavailable`.
    """
    return _with_database(url, _upgrade_if_needed)


def schema_state(url: str) -> SchemaState:
    """What the database of `url` has; a SQLite file that is not there is created."""
    return _with_database(url, lambda _database, state: state)


def _with_database(url: str, then: Callable[[Database, SchemaState], SchemaState]) -> SchemaState:
    database = open_database(url)
    try:
        with database.writing.connect() as connection:
            state = state_of(connection)
        return then(database, state)
    except SQLAlchemyError as error:
        raise cannot_be_opened("the record store", error, code="store_unavailable") from without_values(error)
    finally:
        database.close()


def _upgrade_if_needed(database: Database, state: SchemaState) -> SchemaState:
    if state in (SchemaState.ABSENT, SchemaState.OLDER):
        upgrade(database)
    return state
