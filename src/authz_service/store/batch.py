"""A group of units as one transaction, or each alone when one of them spoils it; reconnects by itself.

Where the answer to a COMMIT is lost, the record is asked whether it was: see `doubt`. Until that is known
nothing else is committed.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from authz_service.errors import AuthzError
from authz_service.store.database import Database, HighWater
from authz_service.store.doubt import Doubt, RecordedUnseen
from authz_service.store.faults import (
    begun_before,
    is_fault,
    is_lost,
    is_second_beginning,
    unavailable,
    without_values,
)
from authz_service.store.heads import Heads
from authz_service.store.keyring import Keyring
from authz_service.store.ledger import Ledger
from authz_service.store.news import HoldNews
from authz_service.store.queueing import Outbox
from authz_service.store.sealing import Pseudonym, Sealing
from authz_service.store.transaction import Transaction

Result = TypeVar("Result")
Work = Callable[[Transaction], Result]

ASK_AGAIN_SECONDS = 0.05
"""How often a database that is away is asked what it has committed, while somebody waits for that."""

NEARLY_OVERDUE = 1.0
"""Seconds before a wait is over: what is committed later may come too late for whoever waits."""


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


class _Unanswered(Exception):
    """COMMIT failed, or its answer was lost: the transaction is on record or is not."""

    def __init__(self, doubt: Doubt, answers: Sequence[Answer], changed: set[str]) -> None:
        super().__init__()
        self.doubt = doubt
        self.answers = answers
        self.changed = changed


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
        self._doubt: Doubt | None = None
        self._unseen = RecordedUnseen()

    def commit_all(self, works: Sequence[Work[Any]], give_up_at: Sequence[float]) -> Sequence[Answer]:
        """Run and commit all; the answers in the order of `works`.

        `give_up_at` is when each of those who wait is told that the store is away (by `time.monotonic`).
        """
        try:
            return self._attempt(works, give_up_at)
        except _Away as away:
            return [_failed(away) for _ in works]
        except _Spoiled as spoiled:
            if len(works) == 1:
                return [_failed(spoiled)]
            return self._one_by_one(works, give_up_at)

    def disconnect(self) -> None:
        """Close the connection; the next group opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                connection.invalidate()
            with contextlib.suppress(SQLAlchemyError, OSError):
                connection.close()

    def _one_by_one(self, works: Sequence[Work[Any]], give_up_at: Sequence[float]) -> Sequence[Answer]:
        answers: list[Answer] = []
        for index, work in enumerate(works):
            try:
                answers += self._attempt([work], give_up_at[index : index + 1])
            except _Spoiled as spoiled:
                answers.append(_failed(spoiled))
            except _Away as away:
                # The others would only wait as long for the same.
                return answers + [_failed(away) for _ in works[index:]]
        return answers

    def _attempt(self, works: Sequence[Work[Any]], give_up_at: Sequence[float]) -> Sequence[Answer]:
        try:
            return self._transact_known(works, give_up_at)
        except _Lost:
            # Idle connections are lost when a database restarts; once more on a new one is safe, since
            # nothing was committed.
            try:
                return self._transact_known(works, give_up_at)
            except _Lost as again:
                raise _Away from again.__cause__

    def _transact_known(self, works: Sequence[Work[Any]], give_up_at: Sequence[float]) -> Sequence[Answer]:
        """As `_transact`, with an outcome that is known as long as anybody waits for it."""
        try:
            return self._transact(works, overdue_at=min(give_up_at))
        except _Unanswered as unanswered:
            return self._found_out(unanswered, until=max(give_up_at))

    def _transact(self, works: Sequence[Work[Any]], *, overdue_at: float) -> Sequence[Answer]:
        """One transaction. Raises `_Lost`, `_Away` or `_Spoiled`, each with the cause, rolled back; or
        `_Unanswered`."""
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
            self._doubt = doubt = ledger.in_doubt()
            if doubt is None:
                raise _Away from error
            raise _Unanswered(doubt, answers, changed) from error
        if time.monotonic() > overdue_at - NEARLY_OVERDUE:
            self._unseen.keep(ledger.drafts)
        self._committed(connection, changed)
        return answers

    def _found_out(self, unanswered: _Unanswered, *, until: float) -> Sequence[Answer]:
        """The answers, if they are on record. Raises `_Lost` when they are not because the connection was
        lost, and `_Away` when they are not for another reason, or nobody knows in time."""
        doubt, why = unanswered.doubt, unanswered.__cause__
        while doubt.committed is None:
            try:
                connection, _ = self._begin()
            except (_Lost, _Away):
                if time.monotonic() >= until:
                    raise _Away from why
                time.sleep(ASK_AGAIN_SECONDS)  # in the writer's own thread, which may do nothing else before
                continue
            self._roll_back(connection, unanswered)
        if doubt.committed:
            if unanswered.changed and self._connection is not None:
                self._tell(self._connection, unanswered.changed)
            return unanswered.answers
        if why is not None and is_lost(why):
            raise _Lost from why
        raise _Away from why

    def _settle(self, connection: Connection, doubt: Doubt) -> None:
        doubt.settle(connection)
        self._doubt = None
        if doubt.committed:
            self._unseen.keep(doubt.drafts)

    def _committed(self, connection: Connection, changed: set[str]) -> None:
        self._heads.committed()
        if changed:
            self._tell(connection, changed)

    def _tell(self, connection: Connection, changed: set[str]) -> None:
        """After the commit, never with it: NOTIFY takes a lock of the whole server when it commits."""
        self._news.tell(changed)
        try:
            self._database.announce(connection, changed)
        except (SQLAlchemyError, OSError):
            self.disconnect()

    def _transaction(self, connection: Connection, ledger: Ledger, changed: set[str]) -> Transaction:
        return Transaction(
            connection, ledger, self._pseudonym, self._keyring, changed, self._outbox, self._unseen
        )

    def _begin(self) -> tuple[Connection, Ledger]:
        try:
            if self._connection is None:
                self._connection = self._database.writing.connect()
                self._database.check_durability(self._connection)
            found = self._database.begin(self._connection)
            self._heads.require(found.head, found.signature)
            if self._doubt is not None:
                self._settle(self._connection, self._doubt)
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
        return Failed(begun_before())
    if isinstance(reason, _Spoiled) and isinstance(cause, Exception) and not is_fault(cause):
        return Failed(without_values(cause) or cause)
    refusal = unavailable()
    refusal.__cause__ = without_values(cause)
    return Failed(refusal)
