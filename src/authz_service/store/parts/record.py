"""The record itself: its entries, written and read, and its signed head."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from authz_service.audit.draft import EntryDraft
from authz_service.audit.merkle import Frontier
from authz_service.core.sessions import Entry
from authz_service.store import exporting, live_sessions, policies, queries, taking_up
from authz_service.store.forgotten_rows import SeenForgotten
from authz_service.store.parts.units import SqlUnits, payload_bytes
from authz_service.store.signed_head import PROOF_SECONDS, SignedHead, frontier_at, signed_head
from authz_service.store.transaction import Transaction


class SqlRecord(SqlUnits):
    """Appends to the record, and reads what is on it."""

    _seen: SeenForgotten

    def append(self, *drafts: EntryDraft) -> asyncio.Future[None]:
        """See `Store.append`."""

        def record(transaction: Transaction) -> None:
            transaction.record(*drafts)

        return self._writer.start(record, size=payload_bytes(drafts))

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
        """See `Store.append_own`."""
        await self._writer.run(
            lambda t: taking_up.append_own(t, drafts, stream, again=again), size=payload_bytes(drafts)
        )

    async def append_again(self, *drafts: EntryDraft) -> None:
        """See `Store.append_again`."""
        await self._writer.run(lambda t: taking_up.append_again(t, drafts), size=payload_bytes(drafts))

    async def entries(self, session_id: str) -> Sequence[Entry]:
        """See `Store.entries`."""
        return await self._read(lambda reader: queries.list_entries(reader, session_id, self._seen.read))

    async def some_entries(self, session_ids: Sequence[str], *, most: int) -> Sequence[Sequence[Entry]]:
        """Entries of the first of these sessions, at least one: up to `most` bytes, and the last whole."""
        return await self._read(
            lambda reader: queries.list_some_entries(reader, session_ids, most, self._seen.read)
        )

    async def entries_after(self, sequence: int, session: str = "") -> Sequence[Entry]:
        """See `LiveSessions.entries_after`."""
        return await self._read(lambda reader: live_sessions.entries_after(reader, sequence, session))

    async def last_sequence(self) -> int:
        """See `Store.last_sequence`."""
        return await self._read(queries.last_sequence)

    async def policy_file(self, digest: str) -> bytes | None:
        """The file of the policy with this digest; None when it is not on record (any more)."""
        return await self._read(lambda reader: policies.policy_file(reader, digest))

    async def signed_head(self, since: Frontier | None = None) -> SignedHead:
        """The head as it is committed, with the proof that it only adds to the tree of `since`.

        Reads the leaf hashes that were added, or all of them without `since`; no proof then.
        """
        return await self._read(lambda reader: signed_head(reader, since), patience=PROOF_SECONDS)

    async def frontier_at(self, size: int) -> Frontier | None:
        """The right edge of the tree over the first `size` entries; None when some of them are missing."""
        return await self._read(lambda reader: frontier_at(reader, size), patience=PROOF_SECONDS)

    async def payloads_of(self, first: int, last: int | None) -> int:
        """How many payloads entries `first` to `last` have (None: all), without values before masking.

        Counted are those of the same time: those of entries that were committed together with the first or
        the last one too.
        """
        return await self._read(
            lambda reader: exporting.payloads_of(reader, first, last), patience=PROOF_SECONDS
        )
