"""What a unit of work may do within the writer's transaction: read, change, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Executable, Result, insert
from sqlalchemy.sql.dml import UpdateBase

from authz_service.audit.draft import EntryDraft
from authz_service.store.doubt import RecordedUnseen
from authz_service.store.keyring import Keyring
from authz_service.store.ledger import Ledger, Recorded
from authz_service.store.queueing import Outbox, queued
from authz_service.store.schema import outbox
from authz_service.store.sealing import Pseudonym

Parameters = Mapping[str, Any]


class Reader(Protocol):
    """A consistent view of the database at the moment `now` (microseconds)."""

    @property
    def now(self) -> int: ...

    @property
    def keyring(self) -> Keyring | None:
        """Opens payloads; None where they lie in clear."""
        ...

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        ...

    def read(self, statement: Executable) -> Result[Any]:
        """Run a query."""
        ...

    def read_beside(self, statement: Executable, parameters: Parameters | None = None) -> Result[Any]:
        """Run a query that looks at nothing which entries are written into: no entry, payload or session."""
        ...


class Transaction:
    """One writer's transaction; no other interleaves with it, in any process.

    Database errors must be let through: a unit that swallowed one would go on in a failed transaction.
    """

    def __init__(
        self,
        connection: Connection,
        ledger: Ledger,
        pseudonym: Pseudonym,
        keyring: Keyring | None = None,
        changed_holds: set[str] | None = None,
        outbox: Outbox | None = None,
        unseen: RecordedUnseen | None = None,
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._keyring = keyring
        self._outbox = outbox or Outbox()
        self._unseen = unseen
        self.pseudonym = pseudonym
        self.changes = 0
        """How many entries and changes were made so far; a refusal that made none is harmless."""
        self.changed_holds: set[str] = set() if changed_holds is None else changed_holds
        """Whom to tell of once this is committed; see `news`."""

    @property
    def now(self) -> int:
        """The transaction's time in microseconds, never behind the last committed entry."""
        return self._ledger.now

    @property
    def instance(self) -> str:
        """By which name the record knows the process that writes."""
        return self._ledger.instance

    @property
    def keyring(self) -> Keyring | None:
        """See `Reader.keyring`."""
        return self._keyring

    @property
    def dialect(self) -> str:
        """See `Reader.dialect`."""
        return self._connection.dialect.name

    def record(self, *drafts: EntryDraft) -> Recorded:
        """Record entries, in order, and queue who is to be told of them; all or none.

        What is on record although nobody may have been told is left out: see `doubt`.
        """
        if self._unseen:
            drafts = tuple(self._unseen.without(drafts))
        recorded = self._ledger.record(drafts)
        self.changes += len(drafts)
        if self._outbox.wanted.receivers:
            rows = queued(drafts, recorded.first, self.now, self._outbox.wanted)
            if rows:
                self.change(insert(outbox), rows)
        return recorded

    def read(self, statement: Executable) -> Result[Any]:
        """Run a query; it sees what earlier units of the same transaction did."""
        self._ledger.flush(self._connection)
        return self._connection.execute(statement)

    def read_beside(self, statement: Executable, parameters: Parameters | None = None) -> Result[Any]:
        """See `Reader.read_beside`: entries need not be written for it yet."""
        return self._connection.execute(statement, parameters)

    def read_session(self, statement: Executable, session: str) -> Result[Any]:
        """Run a query for the one row of this session in `sessions`, which is its parameter `session`.

        What others of the group have recorded need not be written for it yet: together it costs less.
        """
        if self._ledger.changes(session):
            self._ledger.flush(self._connection)
        return self._connection.execute(statement, {"session": session})

    def change(self, statement: UpdateBase, rows: Sequence[dict[str, Any]] | None = None) -> int:
        """Run an INSERT or UPDATE; how many rows it changed."""
        self.changes += 1
        if rows is None:
            return self._connection.execute(statement).rowcount
        return self._connection.execute(statement, rows).rowcount
