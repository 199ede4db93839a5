"""Drives one exchange: runs the core's commands in order, and brings back what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, assert_never

from authz_service.audit.draft import EntryDraft
from authz_service.core.commands import (
    Abort,
    Admit,
    Command,
    Consume,
    CountRepeats,
    CutAnswer,
    FindAnswer,
    Forward,
    ForwardAnswer,
    GiveAnswer,
    Judge,
    JudgeAnswer,
    LeaveHold,
    MarkAnswer,
    OpenHold,
    ReadAnswer,
    Record,
    RecordLater,
    Reply,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFailed,
    AnswerRead,
    BodyRead,
    CallerLeft,
    Event,
    Killed,
    ServiceStopped,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.sessions import TakenUp
from authz_service.errors import AuthzError
from authz_service.runtime.answers import Answer, start_answer
from authz_service.runtime.gateway import Ending, Gateway
from authz_service.runtime.judge_commands import JudgeCommands
from authz_service.runtime.judging import Route
from authz_service.runtime.mailbox import AnswerChunk, Mail, Mailbox, ServiceStops
from authz_service.runtime.marks import Doing
from authz_service.runtime.store_commands import StoreCommands
from authz_service.runtime.transport import Transport
from authz_service.runtime.waiting import Watch


def _unlimited(_size: int) -> None:
    """Where nobody counts what is kept in memory."""


SENT_AGAIN_BY_ENVOY = 60 * 1024
"""Bytes of a request's body that Envoy can send to another process; it keeps 64 KiB of what it has sent."""


class LetGo(Exception):
    """The exchange waits for people, and this process stops: it is to be resumed, and has no end yet."""


@dataclass(slots=True)
class Driver:
    """One exchange on one stream. `run` returns when nothing more is to be done for it."""

    gateway: Gateway
    exchange: Exchange
    route: Route | None
    transport: Transport
    new_id: Callable[[str], str]
    mailbox: Mailbox
    reserve: Callable[[int], None] = _unlimited
    _watch: Watch | None = None
    _answer: Answer | None = None
    _is_idle: bool = False
    _to_end: Killed | ServiceStopped | None = None
    _ending: asyncio.Task[None] | None = None
    _began: float = 0.0
    _has_read: bool = False
    _can_be_sent_again: bool = True
    _stream: str = ""
    _store: StoreCommands = field(init=False)
    _judging: JudgeCommands = field(init=False)

    def __post_init__(self) -> None:
        self._store = StoreCommands(self.gateway, self.exchange, self.transport)
        self._judging = JudgeCommands(self.gateway, self.exchange, self.route, self.new_id, self._store)

    async def run(self, first: Event) -> None:
        """Handle `first`, then what comes into the mailbox, until the exchange is closed.

        Raises `LetGo`, and `SentAgain` before anything was said on the stream.
        """
        session = self.exchange.request.session
        self.gateway.running[session] = self.end
        self._can_be_sent_again = not isinstance(first, BodyRead) or len(first.body) <= SENT_AGAIN_BY_ENVOY
        self._began = perf_counter()
        self._store.came_again = self.exchange.is_recorded
        try:
            await self._handle(first)
            while not self.exchange.is_closed:
                if self._to_end is not None:
                    await self._handle(self._to_end)
                else:
                    await self._handle_mail(await self._next_mail())
        finally:
            del self.gateway.running[session]
            self._leave()
            await self.mailbox.close()

    async def take_up(self) -> TakenUp:
        """Ask for an exchange that was begun before: see `Store.take_up`, which raises `Unavailable`.

        Whether it was had then is seen when this stream's end is recorded, which it is only where it has it.
        """
        self._stream = self.new_id("str")
        try:
            found = await self.gateway.store.take_up(self.exchange.request.session, self._stream)
        except AuthzError as error:
            self._end(StoreFailed(error, self.transport.answer_begun))
            raise
        if not found.is_ours:
            self._stream = ""
        return found

    def end(self, why: Killed | ServiceStopped) -> None:
        """End the exchange: now while it waits for the stream, else when what it does is done.

        Nobody has to say anything for that: a model that is silent is what may be ended.
        """
        if self._to_end is None:
            self._to_end = why
            if self._is_idle and self.mailbox.reads_ahead:
                self.mailbox.put(self._to_end)
            elif self._is_idle:
                self._ending = asyncio.create_task(self._handle(self._to_end))

    async def _next_mail(self) -> Mail:
        """The next mail, after an end that an operator made meanwhile was made in full."""
        self._is_idle = True
        try:
            return await self.mailbox.get()
        finally:
            self._is_idle = False
            if self._ending is not None:
                await self._ending

    def caller_left(self) -> None:
        """The stream is gone while a command was under way: put the end on record later.

        What is being committed comes first: whether it was says what is still to be recorded.
        """
        self._leave()
        if self._store.is_in_line:
            self._end(CallerLeft(is_unasked=True))
        elif self._store.writing is None or self._store.writing.done():
            self._end(CallerLeft())
        else:
            self._store.writing.add_done_callback(self._end_after)

    def _end_after(self, writing: asyncio.Future[Any]) -> None:
        error = None if writing.cancelled() else writing.exception()
        begun = self.transport.answer_begun
        self._end(StoreFailed(error, begun) if isinstance(error, AuthzError) else CallerLeft())

    def _end(self, event: StoreFailed | CallerLeft) -> None:
        for command in self.exchange.handle(event):
            if isinstance(command, Record | RecordLater):
                self._later(command.drafts)

    def _later(self, drafts: tuple[EntryDraft, ...]) -> None:
        """Put them on record as soon as it can be; whoever refuses what another had ends it but once."""
        is_anothers = self._store.came_again and not self._stream
        self.gateway.recorder.later(drafts, stream=self._stream, again=is_anothers)

    async def _handle_mail(self, mail: Mail) -> None:
        if isinstance(mail, ServiceStops):
            has_next = self.gateway.ending is not Ending.NOBODY
            if has_next and self.exchange.can_be_resumed and self._can_be_sent_again:
                raise LetGo
            await self._handle(WaitElapsed())  # the caller sends it again, which attaches to what waits
            return
        if isinstance(mail, CallerLeft):
            self.caller_left()  # the stream is about to be cancelled: no time to wait for the store
        elif not isinstance(mail, AnswerChunk):
            await self._handle(mail)
        elif self._answer is not None:
            is_end_of_it = mail.is_last or not self._has_read
            began = perf_counter() if is_end_of_it else 0.0
            read = await self._answer.read(mail.data, is_last=mail.is_last)
            if isinstance(read, AnswerRead) and read.step.masked:
                self.gateway.count_masked("answer", read.step.masked)
            try:
                await self._handle(read)
            finally:  # Envoy may end the stream as soon as it has the last piece
                if is_end_of_it:
                    self._has_read = True
                    took = self.gateway.took
                    (took.answer_end if mail.is_last else took.answer_start).add(perf_counter() - began)

    async def _handle(self, event: Event) -> None:
        commands = self.exchange.handle(event)
        for command in commands:
            result = await self._attempt(command)
            if isinstance(result, StoreFailed):
                await self._handle(result)
                return
            if result is not None:
                commands += self.exchange.handle(result)  # their turn comes after what is in the list

    async def _attempt(self, command: Command) -> Event | None:
        match command:
            case Record():
                if self._answer is not None and not self.exchange.is_closed:
                    self.mailbox.read_ahead()  # what comes while this is committed goes on in one piece
                return await self._store.record(command)
            case ForwardAnswer():
                await self.transport.answer(command.body, is_last=command.is_last)
            case Judge():
                return await self._judging.judge(command)
            case Forward():
                await self.transport.forward(command.body, command.model, command.marks)
                if not self._judging.has_waited:
                    self.gateway.took.request.add(perf_counter() - self._began)
            case ReadAnswer():
                return await self._read_answer(command)
            case Admit():
                return await self._store.admit(command)
            case OpenHold() | FindAnswer() | Consume():
                return await self._store.hold(command)
            case JudgeAnswer():
                return await self._judging.judge_answer(command)
            case MarkAnswer():
                self.transport.mark(command.marks)
            case GiveAnswer():
                await self.transport.give(command.head, command.body, command.marks)
            case Reply():
                await self.transport.reply(command.error, command.headers)
            case CutAnswer():
                await self.transport.cut(command.error)
            case Abort():
                self.transport.abort(command.reason)
            case WatchHold():
                self._wait(command)
            case LeaveHold():
                self._leave()
            case RecordLater():
                self._later(command.drafts)
            case CountRepeats():
                self.gateway.recorder.begin(command.refusal, self.exchange.request.session)
            case _ as never:
                assert_never(never)
        return None

    def _wait(self, command: WatchHold) -> None:
        if not command.is_answer:
            self._judging.inspection = None  # what waits is judged anew; its texts need not stay in memory
        self.mailbox.read_ahead()
        seconds = command.seconds or self.gateway.rules.config.holds.wait
        self._watch = self.gateway.waiting.watch(command.hold, self.mailbox.put, seconds=seconds)
        self._judging.has_waited = True
        self.gateway.mark(self.exchange.request.session, Doing.WAITS)

    async def _read_answer(self, command: ReadAnswer) -> Event | None:
        try:
            self._answer = start_answer(
                self.gateway.rules,
                self.exchange.request,
                self.route,
                self._judging.inspection,
                status=command.status,
                headers=command.headers,
                clock=self.gateway.clock,
                new_id=self.new_id,
                threads=self.gateway.answer_threads,
                reserve=self.reserve,
                pseudonym=self.gateway.pseudonym,
            )
        except AuthzError as error:
            return AnswerFailed(error)
        return await self._answer.read(b"", is_last=True) if command.is_last else None

    def _leave(self) -> None:
        if self._watch is not None:
            self.gateway.waiting.leave(self._watch)
            self._watch = None
