"""Takes a checkpoint of the record at an interval, and sees to it that each only adds to the one before.

A checkpoint goes into a file first and to the receivers from there. One that is not consistent with the
last goes nowhere: what receivers hold is then the proof of what happened. Nothing here holds up traffic.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

import structlog

from authz_service.audit.checkpoint import Checkpoint, VerifierKey, is_signed_by, note
from authz_service.audit.entry import rfc3339
from authz_service.audit.kept import KeptCheckpoint, kept, line
from authz_service.audit.merkle import HASH_BYTES, Frontier
from authz_service.audit.proofs import is_consistent
from authz_service.core.ports import DAMAGED
from authz_service.errors import AuthzError, Misconfigured, Unavailable
from authz_service.keys.log_key import is_ed25519_signature
from authz_service.runtime.checkpoint_delivery import Deliveries, Delivery
from authz_service.store.checkpoint_file import append, newest
from authz_service.store.signed_head import SignedHead

log = structlog.get_logger(__name__)

ACCEPT = "look into it with: authz audit verify; if you know why, say so: authz audit accept --reason TEXT"


class SignedRecord(Protocol):
    """The store, as far as checkpoints are concerned."""

    async def signed_head(self, since: Frontier | None = None) -> SignedHead:
        """See `SqlStore.signed_head`."""
        ...

    async def frontier_at(self, size: int) -> Frontier | None:
        """See `SqlStore.frontier_at`."""
        ...


class Inconsistent(Exception):
    """The record does not contain the one that was signed before; the message says how."""


class Checkpoints:
    """The checkpoints of one record, in the file at `path` and with the receivers of `deliveries`.

    `is_consistent` is false from when the record was found to contradict its last checkpoint.
    """

    def __init__(
        self, record: SignedRecord, *, key: VerifierKey, path: Path, deliveries: Deliveries, every: float
    ) -> None:
        self._record, self._key, self._path = record, key, path
        self._deliveries, self._every = deliveries, every
        self._last: KeptCheckpoint | None = None
        self._taking = asyncio.Lock()
        self.is_consistent = True
        self.taken_at = 0.0
        """When the last one was taken, in seconds since the epoch by the database's clock; 0 for never."""

    @property
    def size(self) -> int:
        """How many entries the last checkpoint counts."""
        return 0 if self._last is None else self._last.checkpoint.size

    @property
    def deliveries(self) -> Deliveries:
        """How the receivers stand."""
        return self._deliveries

    async def compare(self) -> None:
        """At the start: the record must contain what the last checkpoint of the file was signed for.

        Raises `Misconfigured` when it does not, since then a backup was restored or the record rewritten.
        """
        last = await asyncio.to_thread(newest, self._path)
        if last is None:
            return
        if last.checkpoint.origin != self._key.name:
            raise Misconfigured(
                f"{self._path} has checkpoints of another log ({last.checkpoint.origin}); {ACCEPT}"
            )
        try:
            await self._consistent_with(last)
        except Inconsistent as error:
            raise Misconfigured(
                f"the record is not what it was: {error}; {ACCEPT}", code="record_damaged"
            ) from error
        self._last = last
        self._deliveries.offer(Delivery(last.text, last.checkpoint, None, ()))

    async def run(self) -> None:
        """Take one now and at each interval, and bring them to the receivers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliveries.run())
            while True:
                await self.take()
                await asyncio.sleep(self._every)

    async def take(self) -> None:
        """Take one now, if anything was recorded since; what goes wrong is logged, and tried again later."""
        try:
            async with self._taking:
                await self._take()
        except Inconsistent as error:
            self.is_consistent = False
            log.critical("checkpoint.inconsistent", error=str(error), next=ACCEPT)
        except (AuthzError, OSError) as error:
            log.error("checkpoint.failed", error=error.strerror if isinstance(error, OSError) else str(error))
        except Exception as error:  # whatever the record has, traffic must not end with it
            log.error("checkpoint.failed", error=type(error).__name__)

    async def _take(self) -> None:
        head, proof = await self._consistent_with(self._last)
        last = None if self._last is None else self._last.checkpoint
        if head.size == self.size:
            return
        checkpoint = Checkpoint(self._key.name, head.size, head.root)
        if not is_signed_by(checkpoint, head.signature, [self._key], is_ed25519_signature):
            raise Inconsistent("its head is not signed by the log's key")
        text = note(checkpoint, self._key.name, head.signature)
        stored = line(text, at=rfc3339(head.at), frontier=head.frontier)
        await asyncio.to_thread(append, self._path, stored)
        self._last = kept(text, _nodes(head.frontier))
        self.taken_at = head.at / 1_000_000
        self._deliveries.offer(Delivery(text, checkpoint, last, proof))

    async def _consistent_with(self, last: KeptCheckpoint | None) -> tuple[SignedHead, tuple[bytes, ...]]:
        """The head, and the proof that it adds to `last`; raises `Inconsistent`."""
        if last is None:
            return await self._head(None), ()
        before = last.checkpoint
        since = last.frontier or await self._record.frontier_at(before.size)
        if since is None or since.root() != before.root:
            raise Inconsistent(f"its first {before.size} entries are not those that were signed")
        head = await self._head(since)
        if head.size < before.size:
            raise Inconsistent(f"it has {head.size} entries, and had {before.size}")
        if head.proof is None or not is_consistent(
            before.size, before.root, head.size, head.root, head.proof
        ):
            raise Inconsistent(f"its tree does not contain that of the first {before.size} entries")
        return head, head.proof

    async def _head(self, since: Frontier | None) -> SignedHead:
        try:
            return await self._record.signed_head(since)
        except Unavailable as error:
            if error.code != DAMAGED:
                raise
            raise Inconsistent("its head does not fit its own tree") from error


def _nodes(frontier: Frontier) -> list[bytes]:
    stored = frontier.to_bytes()
    return [stored[i : i + HASH_BYTES] for i in range(0, len(stored), HASH_BYTES)]
