"""The key store's rows: each change is durable before it is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from authz_service.errors import Unavailable
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.database import Database
from authz_service.store.faults import is_fault, is_lost, without_values
from authz_service.store.key_schema import keyring, subject_keys

Result = TypeVar("Result")

_PROOF = select(keyring.c.proof).where(keyring.c.id == 1)
_AFTER_SPACE = chr(ord(" ") + 1)


class LiveKey(NamedTuple):
    """A subject's key, wrapped by the master key."""

    id: str
    wrapped: bytes


class KeyStore:
    """`proof` is the keyring's as this process opened it: under another one nothing new is written."""

    def __init__(self, database: Database, *, proof: bytes) -> None:
        self._database = database
        self._proof = proof

    def live(self, subject: str) -> LiveKey | None:
        """The subject's key, if there is one."""
        return self._run(lambda connection: _live(connection, subject))

    def wrapped(self, key_id: str) -> bytes | None:
        """The key of that id; None when it was destroyed, or never was here."""
        query = select(subject_keys.c.wrapped).where(subject_keys.c.id == key_id)
        found = self._run(lambda connection: connection.execute(query).scalar())
        return None if found is None else as_bytes(found)

    def is_known(self, key_id: str) -> bool:
        """Whether the key of that id is here, or was."""
        query = select(subject_keys.c.id).where(subject_keys.c.id == key_id)
        return self._run(lambda connection: connection.execute(query).scalar()) is not None

    def create(self, subject: str, *, key_id: str, wrapped: bytes) -> LiveKey:
        """Commit a first key, or find the one that another replica made meanwhile."""

        def create(connection: Connection) -> LiveKey:
            now = self._database.clock(connection)
            row = {"id": key_id, "subject": subject, "wrapped": wrapped, "created_at": now}
            with changing(connection):
                self._require_same_master(connection)
                connection.execute(insert(subject_keys).values(row))
            return LiveKey(key_id, wrapped)

        try:
            return self._run(create)
        except IntegrityError:
            other = self.live(subject)
            if other is None:
                raise
            return other

    def held(self, subject: str) -> Sequence[str]:
        """The ids of all keys of the subject that were not destroyed: the live one, and retired ones."""

        def held(connection: Connection) -> Sequence[str]:
            is_sqlite = connection.dialect.name == "sqlite"
            name = subject_keys.c.subject if is_sqlite else subject_keys.c.subject.collate("C")
            # The name, or the name with a space and more behind it: in an index these stand together.
            is_theirs = (name >= subject) & (name < subject + _AFTER_SPACE)
            query = select(subject_keys.c.id).where(is_theirs, subject_keys.c.wrapped.is_not(None))
            return connection.execute(query.order_by(subject_keys.c.id)).scalars().all()

        return self._run(held)

    def retire(self, subject: str) -> None:
        """Have the next key of the subject be another one; the old one opens what it sealed until its end."""
        is_live = (subject_keys.c.subject == subject) & subject_keys.c.wrapped.is_not(None)
        name = subject_keys.c.subject + " " + subject_keys.c.id

        def retire(connection: Connection) -> None:
            with changing(connection):
                connection.execute(update(subject_keys).where(is_live).values(subject=name))

        self._run(retire)

    def destroy(self, which: ColumnElement[bool]) -> Sequence[str]:
        """Overwrite these keys; the ids of those that there were."""
        doomed = which & subject_keys.c.wrapped.is_not(None)

        def destroy(connection: Connection) -> Sequence[str]:
            now = self._database.clock(connection)
            with changing(connection):
                ids = connection.execute(select(subject_keys.c.id).where(doomed)).scalars().all()
                connection.execute(update(subject_keys).where(doomed).values(wrapped=None, destroyed_at=now))
            forget_pages(connection)
            return ids

        return self._run(destroy)

    def has_same_master(self) -> bool:
        """Whether the keys are wrapped by the master key that this process opened them with."""
        return self._run(lambda connection: self._is_same(connection.execute(_PROOF).scalar()))

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _require_same_master(self, connection: Connection) -> None:
        if not self._is_same(connection.execute(_PROOF.with_for_update(read=True)).scalar_one()):
            raise Unavailable(
                "the record's master key was exchanged, so nothing was released;"
                " start this service again with the new one",
                code="master_key_rotated",
            )

    def _is_same(self, proof: bytes | None) -> bool:
        return proof is not None and bytes(proof) == self._proof

    def _run(self, work: Callable[[Connection], Result]) -> Result:
        try:
            return self._attempt(work)
        except Exception as error:
            if is_lost(error):
                # A database that was restarted; each piece of work here can be done again.
                return self._last_attempt(work)
            raise _refusal(error) from without_values(error)

    def _last_attempt(self, work: Callable[[Connection], Result]) -> Result:
        try:
            return self._attempt(work)
        except Exception as error:
            raise _refusal(error) from without_values(error)

    def _attempt(self, work: Callable[[Connection], Result]) -> Result:
        with self._database.writing.connect() as connection:
            return work(connection)


@contextmanager
def changing(connection: Connection) -> Iterator[None]:
    """One transaction of a connection in autocommit mode."""
    is_sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_sqlite else "BEGIN")
    try:
        yield
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")


def forget_pages(connection: Connection) -> None:
    """Have SQLite's log give up older versions of what was overwritten."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _live(connection: Connection, subject: str) -> LiveKey | None:
    is_live = (subject_keys.c.subject == subject) & subject_keys.c.wrapped.is_not(None)
    row = connection.execute(select(subject_keys.c.id, subject_keys.c.wrapped).where(is_live)).one_or_none()
    return None if row is None else LiveKey(row.id, as_bytes(row.wrapped))


def _refusal(error: Exception) -> Exception:
    if not is_fault(error):
        return error
    message = "the key store of the record is unavailable, so nothing was released; try again shortly"
    return Unavailable(message, code="key_store_unavailable")
