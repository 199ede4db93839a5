"""Units of work: writes go to the one writer, reads to threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from authz_service.audit.draft import EntryDraft
from authz_service.errors import Unavailable
from authz_service.store.database import READERS, Database, HighWater, read_head
from authz_service.store.faults import is_fault, unavailable, without_values
from authz_service.store.keyring import Keyring
from authz_service.store.queries import Snapshot
from authz_service.store.transaction import Transaction
from authz_service.store.writer import Commits, Writer

Result = TypeVar("Result")


class SqlUnits:
    """Runs what the parts ask for. No read waits longer than `patience` seconds, unless it says so."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        high_water: HighWater,
        patience: float,
        keyring: Keyring | None = None,
    ) -> None:
        self._database = database
        self._writer = writer
        self._high_water = high_water
        self._patience = patience
        self._keyring = keyring
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._is_closed = False

    async def change(self, work: Callable[[Transaction], Result]) -> Result:
        """See `Units.change`."""
        return await self._writer.run(work)

    async def ask(self, question: Callable[[Snapshot], Result], *, patience: float) -> Result:
        """See `Units.ask`."""
        return await self._read(question, patience=patience)

    async def now(self) -> float:
        """See `Store.now`."""
        return await self._read(lambda reader: reader.now / 1_000_000)

    async def probe(self) -> None:
        """Raise `Unavailable` unless the record could be written to now; nothing is."""
        await self._writer.run(_nothing)

    @property
    def commits(self) -> Commits:
        """How long commits have taken."""
        return self._writer.commits

    @property
    def queued(self) -> int:
        """Units of work that wait to be committed."""
        return self._writer.queued

    async def close(self) -> None:
        """Commit what is waiting and close all connections; afterwards everything is `Unavailable`."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown, wait=True, cancel_futures=True)
        await asyncio.to_thread(self._database.close)
        if self._keyring is not None:
            await asyncio.to_thread(self._keyring.close)

    async def _read(self, question: Callable[[Snapshot], Result], *, patience: float = 0.0) -> Result:
        if self._is_closed:
            raise Unavailable("the record store is closed", code="store_closed")
        try:
            async with asyncio.timeout(max(patience, self._patience)):
                return await asyncio.get_running_loop().run_in_executor(self._readers, self._ask, question)
        except TimeoutError as error:
            raise unavailable() from error

    def _ask(self, question: Callable[[Snapshot], Result]) -> Result:
        try:
            with self._database.reading.connect() as connection:
                last_at = read_head(connection).last_at
                now = self._high_water.advance(self._database.clock(connection), last_at)
                return question(Snapshot(connection, now, self._keyring))
        except Exception as error:  # all goes on; what a database said, without the values in it
            if is_fault(error):
                raise unavailable() from without_values(error)
            raise


def payload_bytes(drafts: Sequence[EntryDraft]) -> int:
    """How many bytes of payloads these bring to a commit."""
    return sum(len(body) for draft in drafts for body in draft.payloads.values())


def _nothing(_transaction: Transaction) -> None:
    """What a probe does in a transaction."""
