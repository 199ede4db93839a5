"""A group of units as one transaction, or each alone when one of them spoils it; reconnects by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from authz_service.core.ports import BEGUN_BEFORE
from authz_service.errors import AuthzError, Conflict
from authz_service.store.database import Database, HighWater
from authz_service.store.faults import is_fault, is_lost, is_second_beginning, unavailable, without_values
from authz_service.store.heads import Heads
from authz_service.store.keyring import Keyring
from authz_service.store.ledger import Ledger
from authz_service.store.news import HoldNews
from authz_service.store.queueing import Outbox
from authz_service.store.sealing import Pseudonym, Sealing
from authz_service.store.transaction import Transaction

Result = TypeVar("Result")
Work = Callable[[Transaction], Result]


@dataclass(frozen=True, slots=True)
class Done:
    """A unit's result; it is committed."""

    result: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit's refusal, or why nothing of it may be taken as committed."""

    error: BaseException


Answer = Done | Failed


class _Spoiled(Exception):
    """A unit failed after it had changed something; the transaction was rolled back."""


class _Lost(Exception):
    """The connection broke before COMMIT was sent: nothing was committed."""


class _Away(Exception):
    """The database cannot be written to now, or it is not known whether it was."""


class Committer:
    """The writer's connection, used by one thread only. `high_water` is shared with those that read."""

    def __init__(
        self,
        database: Database,
        *,
        instance: str,
        pseudonym: Pseudonym,
        high_water: HighWater,
        heads: Heads,
        keyring: Keyring | None = None,
        news: HoldNews | None = None,
        outbox: Outbox | None = None,
    ) -> None:
        self._database = database
        self._instance = instance
        self._pseudonym = pseudonym
        self._keyring = keyring
        self._sealing = Sealing(keyring, pseudonym)
        self._high_water = high_water
        self._heads = heads
        self._news = news or HoldNews()
        self._outbox = outbox or Outbox()
        self._connection: Connection | None = None

    def commit_all(self, works: Sequence[Work[Any]]) -> Sequence[Answer]:
        """Run and commit all; the answers in the order of `works`."""
        try:
            return self._attempt(works)
        except _Away as away:
            return [_failed(away) for _ in works]
        except _Spoiled as spoiled:
            if len(works) == 1:
                return [_failed(spoiled)]
            return self._one_by_one(works)

    def disconnect(self) -> None:
        """Close the connection; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                connection.invalidate()
            with contextlib.suppress(SQLAlchemyError, OSError):
                connection.close()

    def _one_by_one(self, works: Sequence[Work[Any]]) -> Sequence[Answer]:
        answers: list[Answer] = []
        for index, work in enumerate(works):
            try:
                answers += self._attempt([work])
            except _Spoiled as spoiled:
                answers.append(_failed(spoiled))
            except _Away as away:
                # The others would only wait as long for the same.
                return answers + [_failed(away) for _ in works[index:]]
        return answers

    def _attempt(self, works: Sequence[Work[Any]]) -> Sequence[Answer]:
        try:
            return self._transact(works)
        except _Lost:
            # Idle connections are lost when a database restarts; once more on a new one is safe, since
            # COMMIT was not sent.
            try:
                return self._transact(works)
            except _Lost as again:
                raise _Away from again.__cause__

    def _transact(self, works: Sequence[Work[Any]]) -> Sequence[Answer]:
        """One transaction. Raises `_Lost`, `_Away` or `_Spoiled`, each with the cause, rolled back."""
        connection, ledger = self._begin()
        try:
            changed: set[str] = set()
            answers = [_run(work, self._transaction(connection, ledger, changed)) for work in works]
            ledger.close(connection)
        except BaseException as error:
            self._roll_back(connection, error)
            if is_lost(error):
                raise _Lost from error
            raise _Spoiled from error
        try:
            self._database.commit(connection)
        except BaseException as error:
            self.disconnect()  # whatever the outcome was, this connection is in no state to go on
            raise _Away from error
        self._heads.committed()
        if changed:
            self._tell(connection, changed)
        return answers

    def _tell(self, connection: Connection, changed: set[str]) -> None:
        """After the commit, never with it: NOTIFY takes a lock of the whole server when it commits."""
        self._news.tell(changed)
        try:
            self._database.announce(connection, changed)
        except (SQLAlchemyError, OSError):
            self.disconnect()

    def _transaction(self, connection: Connection, ledger: Ledger, changed: set[str]) -> Transaction:
        return Transaction(connection, ledger, self._pseudonym, self._keyring, changed, self._outbox)

    def _begin(self) -> tuple[Connection, Ledger]:
        try:
            if self._connection is None:
                self._connection = self._database.writing.connect()
                self._database.check_durability(self._connection)
            found = self._database.begin(self._connection)
            self._heads.require(found.head, found.signature)
            now = self._high_water.advance(found.clock, found.last_at)
            return self._connection, Ledger(
                found, now=now, instance=self._instance, heads=self._heads, sealing=self._sealing
            )
        except BaseException as error:
            lost = self._connection is not None and is_lost(error)
            self.disconnect()
            if lost:
                raise _Lost from error
            raise _Away from error

    def _roll_back(self, connection: Connection, error: BaseException) -> None:
        if is_lost(error):
            self.disconnect()
            return
        try:
            self._database.roll_back(connection)
        except (SQLAlchemyError, OSError):
            self.disconnect()


def _run(work: Work[Any], transaction: Transaction) -> Answer:
    try:
        return Done(work(transaction))
    except AuthzError as refusal:
        if transaction.changes:
            raise
        return Failed(refusal)


def _failed(reason: _Spoiled | _Away) -> Failed:
    """What the waiting unit is told: a database's fault as `Unavailable`, a fault of ours as it is."""
    cause = reason.__cause__
    if is_second_beginning(cause):
        return Failed(Conflict("this exchange has begun before", code=BEGUN_BEFORE))
    if isinstance(reason, _Spoiled) and isinstance(cause, Exception) and not is_fault(cause):
        return Failed(without_values(cause) or cause)
    refusal = unavailable()
    refusal.__cause__ = without_values(cause)
    return Failed(refusal)
