"""Opens the key store: makes it when there is none, and refuses a master key that is not its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from sqlalchemy import Connection, Row, insert, inspect, select, update
from sqlalchemy.exc import SQLAlchemyError

from authz_service.core.ports import DAMAGED
from authz_service.errors import Misconfigured
from authz_service.keys.master_key import MasterKey, WrongKey
from authz_service.store.away import cannot_be_opened
from authz_service.store.bulk_rows import require_bytes
from authz_service.store.connecting import open_database
from authz_service.store.damage import DamagedKey
from authz_service.store.database import Database, HostClock
from authz_service.store.faults import without_values
from authz_service.store.key_schema import key_metadata, keyring, names_in_order, subject_keys
from authz_service.store.key_store import KeyStore, changing, forget_pages
from authz_service.store.keyring import Keyring

_PURPOSE = "authz keyring"
_LOCK = 0x6B657973  # "keys": one process makes PostgreSQL's tables

FindMaster = Callable[[bool], MasterKey]
"""The master key; told whether a missing one may be made, which is before there are any keys."""


def open_keyring(
    url: str, find_master: FindMaster, *, clock: HostClock | None = None, patience: float = 5.0
) -> Keyring:
    """Open `sqlite:///FILE` or `postgresql://...`, which is created if need be; `close()` when done.

    Raises `Misconfigured` when the master key is missing or another one, and `Unavailable`.
    """
    database = open_database(url, clock=clock, patience=patience)
    try:
        with database.writing.connect() as connection:
            database.check_durability(connection)
            name, proof, master = _unlocked(connection, find_master)
        return Keyring(KeyStore(database, proof=proof), master=master, name=name)
    except SQLAlchemyError as error:
        database.close()
        raise cannot_be_opened(
            "the key store of the record", error, code="key_store_unavailable"
        ) from without_values(error)
    except BaseException:
        database.close()
        raise


def rotate_master_key(url: str, old: MasterKey, new: MasterKey) -> int:
    """Wrap the keys of all subjects by `new` instead, in one transaction; how many there are.

    Raises `Misconfigured` when `old` is not the key store's, and `Unavailable`: `DamagedKey` where a key
    cannot be opened, and none is wrapped by `new` then. Services that run with
    `old` write nothing under new subjects' keys from then on, until they are started with `new`.
    """
    database: Database = open_database(url)
    try:
        with database.writing.connect() as connection:
            with changing(connection):
                count = _rewrap(connection, old, new)
            forget_pages(connection)
            return count
    except SQLAlchemyError as error:
        raise cannot_be_opened(
            "the key store of the record", error, code="key_store_unavailable"
        ) from without_values(error)
    finally:
        database.close()


def _unlocked(connection: Connection, find_master: FindMaster) -> tuple[str, bytes, MasterKey]:
    with changing(connection):
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        if not inspect(connection).has_table(keyring.name):
            key_metadata.create_all(connection)
        elif connection.dialect.name == "postgresql":
            names_in_order.create(connection, checkfirst=True)  # a first version had none
        found = connection.execute(select(keyring.c.name, keyring.c.proof)).one_or_none()
        if found is None:
            master = find_master(True)
            name = secrets.token_hex(16)
            proof = master.wrap(name.encode(), purpose=_PURPOSE)
            connection.execute(insert(keyring).values(id=1, name=name, proof=proof))
            return name, proof, master
    master = find_master(False)
    _require(master, found.name, bytes(found.proof))
    return found.name, bytes(found.proof), master


def _rewrap(connection: Connection, old: MasterKey, new: MasterKey) -> int:
    if not inspect(connection).has_table(keyring.name):
        raise Misconfigured("there are no keys of a record there yet, so there is nothing to wrap anew")
    found = connection.execute(select(keyring.c.name, keyring.c.proof).with_for_update()).one()
    _require(old, found.name, bytes(found.proof))
    live = select(subject_keys.c.id, subject_keys.c.wrapped).where(subject_keys.c.wrapped.is_not(None))
    count = 0
    for row in connection.execute(live).all():
        secret = _secret(old, row)
        wrapped = new.wrap(secret, purpose=row.id)
        connection.execute(update(subject_keys).where(subject_keys.c.id == row.id).values(wrapped=wrapped))
        count += 1
    proof = new.wrap(found.name.encode(), purpose=_PURPOSE)
    connection.execute(update(keyring).values(proof=proof))
    return count


def _secret(old: MasterKey, row: Row[str, bytes | None]) -> bytes:
    try:
        return old.unwrap(require_bytes(row.wrapped), purpose=row.id)
    except (WrongKey, TypeError, ValueError) as error:  # SQLite gives back whatever was put there
        raise DamagedKey(
            f"key {row.id} of the record is damaged, so no key was wrapped anew: put it back from a copy of"
            " the keys (`authz audit verify`), or erase whose it is (`authz record erase`)",
            code=DAMAGED,
        ) from error


def require_master(connection: Connection, master: MasterKey) -> None:
    """Raise `Misconfigured` unless it is `master` that wraps the keys."""
    found = connection.execute(select(keyring.c.name, keyring.c.proof)).one_or_none()
    if found is not None:
        _require(master, found.name, bytes(found.proof))


def _require(master: MasterKey, name: str, proof: bytes) -> None:
    try:
        is_ours = master.unwrap(proof, purpose=_PURPOSE) == name.encode()
    except WrongKey:
        is_ours = False
    if not is_ours:
        raise Misconfigured(
            f"{master.source} is not the master key of this record's keys; restore the one that it was begun"
            " with (after `authz record rotate-key`, the new one)"
        )
