"""Where a configuration's keys are: those that seal its record, and those who only read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from authz_service.config.model import Config
from authz_service.errors import Unavailable
from authz_service.keys.data_dir import DataDir
from authz_service.keys.master_key import (
    MasterKey,
    WrongKey,
    master_key_from_environment,
    master_key_from_file,
)
from authz_service.store.connecting import open_database
from authz_service.store.damage import damaged_key
from authz_service.store.faults import without_values
from authz_service.store.key_schema import keyring, subject_keys
from authz_service.store.keyring import Keyring
from authz_service.store.location import SQLITE, keys_url
from authz_service.store.open_keys import open_keyring, require_master
from authz_service.store.read_only import read_only_engine


def master_key(config: Config, data: DataDir, *, may_create: bool = False) -> MasterKey:
    """The master key; only the one in the data directory is ever made. Raises `Misconfigured`."""
    place = config.record.keeping.keys
    if place.master_variable is not None:
        return master_key_from_environment(place.master_variable)
    if place.master_file is not None:
        return master_key_from_file(place.master_file)
    return master_key_from_file(data.master_key, may_create=may_create)


def open_record_keys(config: Config, data: DataDir) -> Keyring:
    """The keys that seal the record's payloads; raises `Misconfigured` and `Unavailable`."""
    return open_keyring(
        keys_url(config, data), lambda may_create: master_key(config, data, may_create=may_create)
    )


class ReadKeys:
    """The keys of subjects for who only reads, beside a service that runs.

    Raises `Misconfigured` for a master key that is not theirs.
    """

    def __init__(self, connection: Connection, master: MasterKey) -> None:
        require_master(connection, master)
        self._connection = connection
        self._master = master
        self._known: dict[str, bytes | None] = {}

    def key(self, key_id: str) -> bytes | None:
        """See `Keys.key`."""
        if key_id not in self._known:
            query = select(subject_keys.c.wrapped).where(subject_keys.c.id == key_id)
            wrapped = self._connection.execute(query).scalar()
            self._known[key_id] = None if wrapped is None else self._unwrap(key_id, bytes(wrapped))
        return self._known[key_id]

    def _unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        try:
            return self._master.unwrap(wrapped, purpose=key_id)
        except WrongKey as error:
            raise damaged_key() from error


@contextmanager
def reading_keys(config: Config, data: DataDir) -> Iterator[ReadKeys | None]:
    """The keys, where there are any: nothing is created or changed. Raises as `open_record_keys`."""
    url = keys_url(config, data)
    if url.startswith(SQLITE):
        path = Path(url.removeprefix(SQLITE))
        if not path.is_file():
            yield None
            return
        engine = read_only_engine(path)
        close: Callable[[], None] = engine.dispose
    else:
        database = open_database(url)
        engine, close = database.reading, database.close
    try:
        with engine.connect() as connection:
            has_keys = inspect(connection).has_table(keyring.name)
            yield ReadKeys(connection, master_key(config, data)) if has_keys else None
    except SQLAlchemyError as error:
        raise Unavailable("the keys cannot be read", code="key_store_unavailable") from without_values(error)
    finally:
        close()
