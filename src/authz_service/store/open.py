"""Opens a store by its URL: checks the schema, durability and the head before anything is promised."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from typing import assert_never

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from authz_service.audit.checkpoint import Signer
from authz_service.errors import Misconfigured
from authz_service.store.away import cannot_be_opened
from authz_service.store.batch import Committer
from authz_service.store.binding import require_keys
from authz_service.store.connecting import open_database
from authz_service.store.database import Database, HeadRow, HighWater, HostClock
from authz_service.store.faults import without_values
from authz_service.store.heads import Heads, is_whole
from authz_service.store.keyring import Keyring
from authz_service.store.migrate import SchemaState, state_of, upgrade
from authz_service.store.news import HoldNews
from authz_service.store.queueing import Outbox
from authz_service.store.recovery import Heritage
from authz_service.store.schema import entries
from authz_service.store.sealing import Pseudonym
from authz_service.store.sql_store import SqlStore
from authz_service.store.sqlite import Sqlite
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
    signer: Signer | None = None,
    is_first_signer: bool = False,
    accepts_head: bool = False,
    keyring: Keyring | None = None,
    heritage: Heritage | None = None,
) -> SqlStore:
    """Open `sqlite:///FILE` or `postgresql://...`; `await store.close()` when done.

    A SQLite file is created and brought up to date; PostgreSQL only with `migrate`. `clock` (seconds
    since the epoch) takes the place of the database's own. `limits.patience` is how many seconds
    anything may wait. `signer` signs each head; a head without its signature is refused, unless there is
    none yet and `is_first_signer`, or it `accepts_head` whoever signed it. Without a signer heads are
    neither signed nor checked. `keyring` seals payloads, and is closed with the store, or at once when that
    cannot be opened; without one they lie in clear. `heritage` says
    whose sessions `recover` ends, by default those of `instance`. Raises `Misconfigured` where the schema,
    the durability, the head or the keys are not as they must be, and `Unavailable` when the database is away.
    """
    with ExitStack() as opened:
        if keyring is not None:
            opened.callback(keyring.close)
        database = await asyncio.to_thread(open_database, url, clock=clock, patience=limits.patience)
        opened.callback(database.close)
        must_migrate = migrate or isinstance(database, Sqlite)
        high_water = HighWater()
        heads = Heads(signer)
        prepare = partial(_prepare, database, high_water, heads, keyring, must_migrate=must_migrate)
        size = await asyncio.to_thread(prepare, is_first=is_first_signer, accepts=accepts_head)
        opened.pop_all()
    news, outbox = HoldNews(), Outbox()
    committer = Committer(
        database,
        instance=instance,
        pseudonym=pseudonym,
        high_water=high_water,
        heads=heads,
        keyring=keyring,
        news=news,
        outbox=outbox,
    )
    return SqlStore(
        database,
        Writer(committer, limits),
        heritage=heritage or Heritage(instance),
        high_water=high_water,
        size_at_start=size,
        patience=limits.patience,
        pseudonym=pseudonym,
        keyring=keyring,
        news=news,
        outbox=outbox,
    )


def _prepare(
    database: Database,
    high_water: HighWater,
    heads: Heads,
    keyring: Keyring | None,
    *,
    must_migrate: bool,
    is_first: bool,
    accepts: bool,
) -> int:
    try:
        with database.writing.connect() as connection:
            database.check_durability(connection)
            check_schema(database, connection, must_migrate=must_migrate)
            found = _check_head(database, connection)
            require_keys(connection, keyring)
            if accepts or (is_first and not found.signature):
                heads.believe(found.head)
            else:
                heads.require(found.head, found.signature)
            high_water.advance(found.last_at)
            return found.size
    except SQLAlchemyError as error:
        raise cannot_be_opened("the record store", error, code="store_unavailable") from without_values(error)


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


def _check_head(database: Database, connection: Connection) -> HeadRow:
    """The head; raises `Misconfigured` when it tells of other entries than there are.

    Under its lock: others may be writing, and a commit of this process's last run may be under way still.
    """
    found = database.begin(connection)
    try:
        last = connection.execute(select(func.max(entries.c.seq))).scalar() or 0
    finally:
        database.roll_back(connection)
    if found.size != last or not is_whole(found.head):
        raise Misconfigured(
            f"the record is damaged: its head counts {found.size} entries, the last one is number {last};"
            " keep this database as evidence, restore one from a backup, and say why: authz audit accept"
        )
    return found
