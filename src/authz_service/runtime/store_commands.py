"""What the core asks of the store for one exchange: done to the end, even if the caller leaves meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from authz_service.core.commands import Admit, Consume, FindAnswer, OpenHold, Record
from authz_service.core.events import (
    AdmissionAnswered,
    AnswerFound,
    Event,
    HoldAnswered,
    HoldConsumed,
    RequestFailed,
    StoreFailed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.limits import LimitReached
from authz_service.core.ports import BEGUN_BEFORE
from authz_service.core.refusals import by_error, by_limit
from authz_service.errors import AuthzError
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.transport import Transport

Result = TypeVar("Result")


class SentAgain(Exception):
    """The record has the beginning of this exchange already: another process had it, and nothing is done."""


@dataclass(slots=True)
class StoreCommands:
    """Those commands of one exchange that the store answers; `writing` is what was asked of it last.

    `is_in_line` until it can be asked, and where nobody waits for that any more.
    `came_again`: another stream had the exchange before, and may have recorded its end.
    """

    gateway: Gateway
    exchange: Exchange
    transport: Transport
    writing: asyncio.Future[Any] | None = None
    came_again: bool = False
    is_in_line: bool = False

    async def record(self, command: Record) -> StoreFailed | None:
        """To the end: what was asked is on record even if the caller leaves meanwhile."""
        store = self.gateway.store
        append = store.append_again if self.came_again else store.append
        try:
            if command.ends:
                session = self.exchange.request.session
                await self._to_the_end(store.settle(*command.drafts, hold=command.ends, session=session))
            else:
                await self._to_the_end(append(*command.drafts))
        except AuthzError as error:
            return self.failed(error)
        return None

    async def admit(self, command: Admit) -> Event:
        """Count the request, and with what a limit refuses whether it is told of alone."""
        try:
            work = self.gateway.store.admit(command.demand, command.first)
            admission = await self._to_the_end(work)
        except AuthzError as error:
            return self.failed(error)

        if isinstance(admission, LimitReached):
            self.gateway.limited[admission.by, admission.what] += 1
            model = str(command.first.data["model"])
            refusal = by_limit(self.exchange.request, admission, model)
            return AdmissionAnswered(admission, self.gateway.recorder.counted(refusal))
        return AdmissionAnswered(admission)

    async def hold(self, command: OpenHold | FindAnswer | Consume) -> Event:
        """Open a hold, find the answer that is held, or use an approval."""
        store = self.gateway.store
        try:
            if isinstance(command, OpenHold):
                self.is_in_line = True
                async with self.gateway.openings.turn():
                    self.is_in_line = False
                    work = store.open_hold(command.draft, self.gateway.hold_limits)
                    opening = await self._to_the_end(work)
                    if isinstance(opening, LimitReached):
                        self.gateway.limited[opening.by, opening.what] += 1
                    return HoldAnswered(opening)
            if isinstance(command, FindAnswer):
                return AnswerFound(await self._to_the_end(store.attach_answer(command.wanted)))
            session = self.exchange.request.session
            is_ours = await store.consume(
                command.hold, digest=command.digest, session=session, entries=command.entries
            )
            return HoldConsumed(is_ours)
        except AuthzError as error:
            return self.failed(error)

    async def counted(self, failed: RequestFailed) -> RequestFailed | StoreFailed:
        """Counted with the first of its kind, if it is not that; one that is on record is to end there."""
        refusal = by_error(self.exchange.request, failed.error, failed.model)
        if refusal is None or self.exchange.is_recorded:
            return failed
        try:
            known = await self.gateway.store.session(self.exchange.request.session)
        except AuthzError as error:
            return self.failed(error)
        if known is not None:
            raise SentAgain
        return replace(failed, first=self.gateway.recorder.counted(refusal))

    def failed(self, error: AuthzError) -> StoreFailed:
        """What the exchange is told of an error of the store; raises `SentAgain` where it says that."""
        self.is_in_line = False
        if error.code == BEGUN_BEFORE:
            raise SentAgain from error
        return StoreFailed(error, self.transport.answer_begun)

    async def _to_the_end(self, work: Awaitable[Result]) -> Result:
        """The result of `work`, which goes on when whoever waits for it is cancelled.

        As asyncio.shield, which costs twice as much; and what went wrong is logged by nobody.
        """
        self.writing = running = asyncio.ensure_future(work)
        waiting = running.get_loop().create_future()
        running.add_done_callback(partial(_tell, waiting))
        await waiting
        return running.result()


def _tell(waiting: asyncio.Future[None], running: asyncio.Future[Any]) -> None:
    if not running.cancelled():
        running.exception()  # or asyncio would log it, with all its places, when nobody waits any more
    if not waiting.done():
        waiting.set_result(None)
