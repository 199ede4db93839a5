"""Reads one answer as it comes, and asks the rules for answers about what is found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from authz_service.core.events import AnswerFailed, AnswerRead
from authz_service.core.kept import secret_of
from authz_service.core.request import Request
from authz_service.errors import AuthzError, Unreadable
from authz_service.inspection.results import AnswerPipe, AnswerStep, RequestInspection
from authz_service.policy.decision import AnswerFacts, Decision, Effect
from authz_service.runtime.answer_pipes import UnreadPipe, added_up, merged, pipe_for
from authz_service.runtime.judging import LARGEST_INLINE, Route
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads
from authz_service.view.caller import Caller
from authz_service.view.kept import Kept

Result = TypeVar("Result")


@dataclass(slots=True)
class Answer:
    """One answer being read. `request` is None where the path passes unread."""

    rules: Rules
    request: Request
    inspection: RequestInspection | None
    pipe: AnswerPipe
    clock: Callable[[], float]
    new_id: Callable[[str], str]
    threads: Threads
    reserve: Callable[[int], None]
    _found: dict[str, int] = field(default_factory=dict)
    _is_judged: bool = False
    _unread: int = 0
    _kept: int = 0
    _accounted: int = 0
    pseudonym: Callable[[tuple[str, str]], str] | None = None
    """Makes the names of what the model server keeps, where that is remembered."""
    _sent: bytearray | None = None
    """What the model sent since the last piece that could go on, where that is kept."""

    async def read(self, data: bytes, *, is_last: bool) -> AnswerRead | AnswerFailed:
        """Take the next bytes; a large piece is read in a thread."""
        self._unread += len(data)
        if self._sent is not None:
            self._sent += data
        try:
            if self.rules.policy.holds_answers:
                self._keep(len(data))
            elif self._unread > LARGEST_INLINE:
                self._account(self._unread)
            if self._unread > LARGEST_INLINE and (is_last or len(data) > LARGEST_INLINE):
                step = await self._in_turn(partial(self._step, data, is_last=is_last), self._unread)
            else:
                step = self._step(data, is_last=is_last)
        except AuthzError as error:
            return AnswerFailed(error)
        if step.release:
            self._unread = 0
            if self._accounted:
                self._account(0)
        kept = self._names(step.kept) if step.kept else ()
        if self.inspection is None or not self._asks_rules(step):
            read = AnswerRead(step, kept=kept) if kept else AnswerRead(step)
            return read if self._sent is None else self._with_original(read)
        work = partial(self._judged, step, self.inspection, kept)
        # Rules for answers may read the request's texts.
        size = self.inspection.view.token_estimate * 4
        read = await self._in_turn(work, size) if size > LARGEST_INLINE else work()
        return read if self._sent is None else self._with_original(read)

    def _names(self, kept: tuple[Kept, ...]) -> tuple[str, ...]:
        if self.pseudonym is None or self.inspection is None:
            return ()
        server = self.rules.servers[self.rules.models[self.inspection.view.model]]
        return tuple(self.pseudonym(secret_of(each, server=server)) for each in kept)

    async def _in_turn(self, work: Callable[[], Result], size: int) -> Result:
        return await self.threads.run(work, size=size, caller=self.request.caller.identity)

    def _with_original(self, read: AnswerRead) -> AnswerRead:
        """With what was sent for it, once something becomes of that."""
        is_denied = read.decision is not None and read.decision.effect is Effect.DENY
        if self._sent is None or not (read.step.release or read.step.is_last or is_denied):
            return read
        sent = bytes(self._sent)
        self._sent.clear()
        return read if sent == read.step.release and not is_denied else replace(read, original=sent)

    def _keep(self, size: int) -> None:
        """Account for what is kept back; raises `Unreadable` (502) and `Unavailable` for too much of it."""
        if self.inspection is None:
            return
        self.reserve(size if self._sent is None else 2 * size)
        self._kept += size
        limit = self.rules.config.limits.body
        if self._kept > limit:
            message = f"The answer is larger than {limit} bytes, and must be whole to be held."
            raise Unreadable(message, code="answer_too_large", status=502)

    def _account(self, size: int) -> None:
        """For so much that came and has not gone on; raises `Unavailable` for too much of it."""
        kept = size if self._sent is None else 2 * size
        self._accounted, more = kept, kept - self._accounted
        self.reserve(more)

    def _step(self, data: bytes, *, is_last: bool) -> AnswerStep:
        step = self.pipe.feed(data)
        return merged(step, self.pipe.finish()) if is_last else step

    def _asks_rules(self, step: AnswerStep) -> bool:
        """Whether there is something new to judge: the first piece that could go on, or a finding."""
        if step.found:
            self._found = added_up(self._found, step.found)
        elif self._is_judged or not (step.release or step.is_last):
            return step.is_last and self.rules.policy.holds_answers
        self._is_judged = True
        return self.rules.policy.reads_answers

    def _judged(self, step: AnswerStep, inspection: RequestInspection, kept: tuple[str, ...]) -> AnswerRead:
        now, found = self.clock(), dict(self._found)
        decision = decide_answer(self.rules, self.request.caller, inspection, found, now)
        approvals = self.rules.approvals_of(decision.approvals)
        new_hold = self.new_id("hold") if approvals else ""
        total = found if self.rules.policy.holds_answers else {}
        return AnswerRead(step, decision, approvals, new_hold, now, total, kept=kept)


def decide_answer(
    rules: Rules, caller: Caller, inspection: RequestInspection, found: Mapping[str, int], now: float
) -> Decision:
    """What the rules for answers say of an answer in which this was found."""
    facts = AnswerFacts(
        caller=caller,
        request=inspection.view,
        findings=inspection.findings,
        answer_findings=found,
        now=now,
    )
    return rules.policy.decide_answer(facts)


def start_answer(
    rules: Rules,
    request: Request,
    route: Route | None,
    inspection: RequestInspection | None,
    *,
    status: int,
    headers: Mapping[str, str],
    clock: Callable[[], float],
    new_id: Callable[[str], str],
    threads: Threads,
    reserve: Callable[[int], None],
    pseudonym: Callable[[tuple[str, str]], str],
) -> Answer:
    """A reader for the answer with these headers; raises `Unreadable` for what cannot be read.

    What the model server keeps is remembered where a rule may let a later request name it.
    """
    if route is None or inspection is None:
        return Answer(rules, request, inspection, UnreadPipe(), clock, new_id, threads, reserve)
    pipe = pipe_for(
        rules,
        route,
        inspection,
        status=status,
        headers=headers,
        scanner=rules.answer_scanner,
        restores=True,
    )
    sent = bytearray() if rules.keeps_originals else None
    is_kept = rules.policy.permits_references and inspection.view.parameters.get("store") is not False
    return Answer(
        rules,
        request,
        inspection,
        pipe,
        clock,
        new_id,
        threads,
        reserve,
        pseudonym=pseudonym if is_kept else None,
        _sent=sent,
    )
