"""Brings checkpoints to their receivers: each at its own pace, tried again until it has the newest.

A receiver that is away costs nobody anything. When it is back it gets the newest checkpoint, which
vouches for all before it. How each stands is written to a file, for `authz doctor`; that one has begun to
fail, and that it has a checkpoint again, is put on record.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import orjson
import structlog

from authz_service.audit.checkpoint import Checkpoint
from authz_service.audit.draft import Data, EntryDraft, Kind
from authz_service.errors import AuthzError

log = structlog.get_logger(__name__)

DELIVERY_SECONDS = 30.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
FAILING_AFTER = 5
"""Failures in a row after which a receiver counts as failing: not for what a restart of it takes."""


class NotDelivered(Exception):
    """A receiver did not take a checkpoint; the message says why, without its credentials."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A signed checkpoint on its way, and the proof (RFC 6962) that it adds to `previous`."""

    text: str
    checkpoint: Checkpoint
    previous: Checkpoint | None
    proof: tuple[bytes, ...]


class Receiver(Protocol):
    """Somewhere that keeps checkpoints."""

    @property
    def name(self) -> str: ...

    async def deliver(self, delivery: Delivery) -> None:
        """Hand one over; raises `NotDelivered`. The same one may come again."""
        ...


@dataclass(slots=True)
class Standing:
    """How delivery to one receiver stands. `error` is empty once the newest has arrived.

    `is_failing` is what the record says of it; `in_a_row` are the failures since it last took one.
    """

    name: str
    size: int = 0
    delivered_at: float = 0.0
    failures: int = 0
    error: str = ""
    is_failing: bool = False
    in_a_row: int = 0


@dataclass(slots=True)
class Deliveries:
    """All receivers; `state` is the file that says how they stand, from one start to the next.

    `record` commits an entry; what it cannot commit is tried again with the next delivery.
    """

    receivers: Sequence[Receiver]
    state: Path | None = None
    first_pause: float = FIRST_PAUSE
    record: Callable[[EntryDraft], Awaitable[None]] | None = None
    standings: dict[str, Standing] = field(default_factory=dict)
    _newest: Delivery | None = None
    _news: dict[str, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.standings = {receiver.name: Standing(receiver.name) for receiver in self.receivers}
        for name in _failing(self.state) & self.standings.keys():
            self.standings[name].is_failing = True
        self._news = {receiver.name: asyncio.Event() for receiver in self.receivers}
        self._write()

    def offer(self, delivery: Delivery) -> None:
        """From now on this is what every receiver is to have."""
        self._newest = delivery
        for news in self._news.values():
            news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for receiver in self.receivers:
                tasks.create_task(self._serve(receiver))

    async def _serve(self, receiver: Receiver) -> None:
        news, pause = self._news[receiver.name], self.first_pause
        while True:
            await news.wait()
            news.clear()
            if self._newest is None or await self._deliver(receiver, self._newest):
                pause = self.first_pause
                continue
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            news.set()

    async def _deliver(self, receiver: Receiver, delivery: Delivery) -> bool:
        standing = self.standings[receiver.name]
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                await receiver.deliver(delivery)
        except Exception as error:  # a fault of one receiver must not stop the others, nor the service
            why = _why(error)
            standing.failures += 1
            standing.in_a_row += 1
            standing.error = why
            if standing.in_a_row >= FAILING_AFTER:
                await self._record(standing, is_failing=True)
            log.warning("checkpoint.not_delivered", receiver=receiver.name, error=why)
            self._write()
            return False
        standing.size, standing.delivered_at, standing.error = delivery.checkpoint.size, time.time(), ""
        standing.in_a_row = 0
        await self._record(standing, is_failing=False)
        self._write()
        return True

    async def _record(self, standing: Standing, *, is_failing: bool) -> None:
        """Once for each change: nobody can fill the record by taking checkpoints and refusing them."""
        if self.record is None or standing.is_failing is is_failing:
            return
        kind = Kind.CHECKPOINT_FAILING if is_failing else Kind.CHECKPOINT_DELIVERED
        data: Data = {"receiver": standing.name, "size": standing.size, "failures": standing.failures}
        payloads = {"error": standing.error.encode(errors="replace")} if is_failing else {}
        try:
            await self.record(EntryDraft(kind, data=data, payloads=payloads))
        except AuthzError as error:
            log.error("checkpoint.standing_not_recorded", receiver=standing.name, error=str(error))
            return
        standing.is_failing = is_failing

    def _write(self) -> None:
        """Replace the file as a whole; what cannot be written is told by the metrics yet."""
        if self.state is None:
            return
        shown = [
            {
                "name": s.name,
                "size": s.size,
                "delivered_at": s.delivered_at,
                "failures": s.failures,
                "error": s.error,
                "is_failing": s.is_failing,
            }
            for s in self.standings.values()
        ]
        draft = self.state.with_name(f".{self.state.name}.{secrets.token_hex(4)}")
        try:
            self.state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps(shown))
            draft.replace(self.state)
        except OSError as error:
            log.warning("checkpoint.state_not_written", error=error.strerror)


def _why(error: Exception) -> str:
    """Without what an error that is none of ours says: it could have credentials."""
    if isinstance(error, NotDelivered):
        return str(error)
    is_away = isinstance(error, TimeoutError | OSError)
    return "it does not answer" if is_away else f"it failed ({type(error).__name__})"


def _failing(state: Path | None) -> set[str]:
    """The receivers that the record says are failing, as far as the file of the last start can tell."""
    try:
        shown = [] if state is None else orjson.loads(state.read_bytes())
        return {str(one["name"]) for one in shown if one.get("is_failing")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
