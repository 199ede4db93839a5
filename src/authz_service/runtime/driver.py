"""Drives one exchange: runs the core's commands in order, and brings back what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar, assert_never

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
    AdmissionAnswered,
    AnswerFailed,
    AnswerFound,
    AnswerRead,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    HoldConsumed,
    Killed,
    RequestFailed,
    RequestJudged,
    ServiceStopped,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.kept import secret_of
from authz_service.core.limits import LimitReached
from authz_service.core.ports import BEGUN_BEFORE
from authz_service.core.refusals import by_error, by_limit
from authz_service.core.sessions import TakenUp
from authz_service.errors import AuthzError, NotFound
from authz_service.inspection.results import RequestInspection
from authz_service.policy.decision import Effect
from authz_service.runtime.answers import Answer, judge_held, start_answer
from authz_service.runtime.gateway import Ending, Gateway
from authz_service.runtime.judging import Route, judge
from authz_service.runtime.mailbox import AnswerChunk, Mail, Mailbox, ServiceStops
from authz_service.runtime.marks import Doing
from authz_service.runtime.transport import Transport
from authz_service.runtime.waiting import Watch
from authz_service.view.caller import Caller
from authz_service.view.kept import Kept

Result = TypeVar("Result")


def _unlimited(_size: int) -> None:
    """Where nobody counts what is kept in memory."""


NOT_YOURS = (
    "What this request refers to (previous_response_id, conversation or item_reference) is not known to be "
    "yours: only what this gateway gave you in an answer of the same model can be referred to. "
    "Send the whole conversation instead."
)

SENT_AGAIN_BY_ENVOY = 60 * 1024
"""Bytes of a request's body that Envoy can send to another process; it keeps 64 KiB of what it has sent."""


class LetGo(Exception):
    """The exchange waits for people, and this process stops: it is to be resumed, and has no end yet."""


class SentAgain(Exception):
    """The record has the beginning of this exchange already: another process had it, and nothing is done."""


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
    _has_waited: bool = False
    _inspection: RequestInspection | None = None
    _answer: Answer | None = None
    _writing: asyncio.Future[Any] | None = None
    _is_idle: bool = False
    _to_end: Killed | ServiceStopped | None = None
    _ending: asyncio.Task[None] | None = None
    _began: float = 0.0
    _has_read: bool = False
    _can_be_sent_again: bool = True
    _stream: str = ""

    async def run(self, first: Event) -> None:
        """Handle `first`, then what comes into the mailbox, until the exchange is closed.

        Raises `LetGo`, and `SentAgain` before anything was said on the stream.
        """
        session = self.exchange.request.session
        self.gateway.running[session] = self.end
        self._can_be_sent_again = not isinstance(first, BodyRead) or len(first.body) <= SENT_AGAIN_BY_ENVOY
        self._began = perf_counter()
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
        if self._writing is None or self._writing.done():
            self._end(CallerLeft())
        else:
            self._writing.add_done_callback(self._end_after)

    def _end_after(self, writing: asyncio.Future[Any]) -> None:
        error = None if writing.cancelled() else writing.exception()
        begun = self.transport.answer_begun
        self._end(StoreFailed(error, begun) if isinstance(error, AuthzError) else CallerLeft())

    def _end(self, event: StoreFailed | CallerLeft) -> None:
        for command in self.exchange.handle(event):
            if isinstance(command, Record | RecordLater):
                self.gateway.recorder.later(command.drafts, stream=self._stream)

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
                self._count_masked("answer", read.step.masked)
            try:
                await self._handle(read)
            finally:  # Envoy may end the stream as soon as it has the last piece
                if is_end_of_it:
                    self._has_read = True
                    took = self.gateway.took
                    (took.answer_end if mail.is_last else took.answer_start).add(perf_counter() - began)

    def _count_masked(self, side: str, masked: Mapping[str, int]) -> None:
        for entity, number in masked.items():
            self.gateway.masked[side, entity] += number

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
                return await self._record(command)
            case ForwardAnswer():
                await self.transport.answer(command.body, is_last=command.is_last)
            case Judge():
                return await self._judge(command)
            case Forward():
                await self.transport.forward(command.body, command.model, command.marks)
                if not self._has_waited:
                    self.gateway.took.request.add(perf_counter() - self._began)
            case ReadAnswer():
                return await self._read_answer(command)
            case Admit():
                return await self._admit(command)
            case OpenHold() | FindAnswer() | Consume():
                return await self._hold(command)
            case JudgeAnswer():
                return await self._judge_answer(command)
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
                self.gateway.recorder.later(command.drafts, stream=self._stream)
            case CountRepeats():
                self.gateway.recorder.begin(command.refusal, self.exchange.request.session)
            case _ as never:
                assert_never(never)
        return None

    async def _record(self, command: Record) -> StoreFailed | None:
        """To the end: what was asked is on record even if the caller leaves meanwhile."""
        if self._answer is not None and not self.exchange.is_closed:
            self.mailbox.read_ahead()  # what comes while this is committed goes on in one piece
        try:
            await self._to_the_end(self.gateway.store.append(*command.drafts))
        except AuthzError as error:
            return self._failed(error)
        return None

    async def _admit(self, command: Admit) -> Event:
        try:
            work = self.gateway.store.admit(command.demand, command.first)
            admission = await self._to_the_end(work)
        except AuthzError as error:
            return self._failed(error)

        if isinstance(admission, LimitReached):
            self.gateway.limited[admission.by, admission.what] += 1
            model = str(command.first.data["model"])
            refusal = by_limit(self.exchange.request, admission, model)
            return AdmissionAnswered(admission, self.gateway.recorder.counted(refusal))
        return AdmissionAnswered(admission)

    async def _hold(self, command: OpenHold | FindAnswer | Consume) -> Event:
        store = self.gateway.store
        try:
            if isinstance(command, OpenHold):
                async with self.gateway.openings:
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
            return self._failed(error)

    def _failed(self, error: AuthzError) -> StoreFailed:
        if error.code == BEGUN_BEFORE:
            raise SentAgain from error
        return StoreFailed(error, self.transport.answer_begun)

    def _wait(self, command: WatchHold) -> None:
        if not command.is_answer:
            self._inspection = None  # what waits is judged anew; its texts need not stay in memory
        self.mailbox.read_ahead()
        seconds = command.seconds or self.gateway.rules.config.holds.wait
        self._watch = self.gateway.waiting.watch(command.hold, self.mailbox.put, seconds=seconds)
        self._has_waited = True
        self._mark(Doing.WAITS)

    async def _judge(self, command: Judge) -> Event:
        if self._has_waited:
            try:
                await self._recheck(command.caller)
            except AuthzError as error:
                return RequestFailed(error)
        self._mark(Doing.JUDGES)
        rules = self.gateway.rules
        original = self._inspection if command.is_edited else None
        is_first = not self._has_waited and not command.is_edited
        began = perf_counter()
        judged = await judge(
            rules.for_edited if command.is_edited else rules,
            self.exchange.request,
            self.route,
            command.body,
            caller=command.caller,
            now=self.gateway.clock(),
            new_hold="",
            threads=self.gateway.request_threads,
            masked=None if original is None else original.masked,
            is_first=is_first,
        )
        self._mark(Doing.HAS)
        if isinstance(judged, RequestJudged) and judged.names:
            try:
                judged = await self._if_own(judged, judged.names)
            except AuthzError as error:
                return self._failed(error)
        if is_first:
            self.gateway.decisions[_word(judged)] += 1
            self.gateway.took.decide.add(perf_counter() - began)
        if isinstance(judged, RequestFailed):
            return await self._counted(judged) if is_first else judged
        self._inspection = judged.inspection
        if is_first and judged.inspection is not None and judged.inspection.masked:
            self._count_masked("request", judged.inspection.masked)
        if original is not None and judged.inspection is not None:
            # What the placeholders in it stand for is in what the caller sent.
            self._inspection = replace(judged.inspection, placeholders=original.placeholders)
        return replace(judged, new_hold=self.new_id("hold")) if judged.approvals else judged

    async def _if_own(self, judged: RequestJudged, kept: tuple[Kept, ...]) -> RequestJudged | RequestFailed:
        """The same, unless it may go on and names what a model server keeps that is not this caller's."""
        if judged.decision.effect is Effect.DENY:
            return judged
        names = {self.gateway.pseudonym(secret_of(each, model=judged.model)) for each in kept}
        if await self.gateway.store.owned(names, self.exchange.request.pseudonym):
            return judged
        return RequestFailed(NotFound(NOT_YOURS, code="reference_not_yours"), judged)

    async def _counted(self, failed: RequestFailed) -> RequestFailed | StoreFailed:
        """Counted with the first of its kind, if it is not that; one that is on record is to end there."""
        refusal = by_error(self.exchange.request, failed.error, failed.model)
        if refusal is None or self.exchange.is_recorded:
            return failed
        try:
            known = await self.gateway.store.session(self.exchange.request.session)
        except AuthzError as error:
            return self._failed(error)
        if known is not None:
            raise SentAgain
        return replace(failed, first=self.gateway.recorder.counted(refusal))

    async def _judge_answer(self, command: JudgeAnswer) -> Event:
        if self.route is None or self._inspection is None:
            raise RuntimeError("an answer is held without the request that it belongs to")
        try:
            await self._recheck(command.caller)
            return await judge_held(
                self.gateway.rules,
                self.route,
                self._inspection,
                command.hold,
                caller=command.caller,
                now=self.gateway.clock(),
                new_hold=self.new_id("hold"),
                threads=self.gateway.answer_threads,
            )
        except AuthzError as error:
            return AnswerFailed(error)

    def _mark(self, doing: Doing) -> None:
        if self.gateway.marks is not None:
            self.gateway.marks.now(self.exchange.request.session, doing)

    async def _recheck(self, caller: Caller) -> None:
        """Of the token that the connection came with, and of the one that opened the hold."""
        await self.gateway.recheck(self.exchange.request.caller)
        if caller is not self.exchange.request.caller:
            await self.gateway.recheck(caller)

    async def _read_answer(self, command: ReadAnswer) -> Event | None:
        try:
            self._answer = start_answer(
                self.gateway.rules,
                self.exchange.request,
                self.route,
                self._inspection,
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

    async def _to_the_end(self, work: Awaitable[Result]) -> Result:
        """The result of `work`, which goes on when whoever waits for it is cancelled.

        As asyncio.shield, which costs twice as much; and what went wrong is logged by nobody.
        """
        self._writing = running = asyncio.ensure_future(work)
        waiting = running.get_loop().create_future()
        running.add_done_callback(partial(_tell, waiting))
        await waiting
        return running.result()

    def _leave(self) -> None:
        if self._watch is not None:
            self.gateway.waiting.leave(self._watch)
            self._watch = None


def _word(judged: RequestJudged | RequestFailed) -> str:
    return "refused" if isinstance(judged, RequestFailed) else judged.decision.effect.name.lower()


def _tell(waiting: asyncio.Future[None], running: asyncio.Future[Any]) -> None:
    if not running.cancelled():
        running.exception()  # or asyncio would log it, with all its places, when nobody waits any more
    if not waiting.done():
        waiting.set_result(None)
