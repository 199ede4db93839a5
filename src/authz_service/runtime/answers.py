"""Reads one answer as it comes, and asks the rules for answers about what is found in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from authz_service.core.acts import AnswerHead
from authz_service.core.events import AnswerFailed, AnswerJudged, AnswerRead
from authz_service.core.kept import secret_of
from authz_service.core.ports import Hold
from authz_service.core.request import Request
from authz_service.errors import AuthzError, Unreadable
from authz_service.inspection.answer import answer_pipe, restoring_pipe
from authz_service.inspection.restored import added
from authz_service.inspection.results import AnswerPipe, AnswerStep, RequestInspection
from authz_service.policy.decision import AnswerFacts, Decision, Effect
from authz_service.runtime.judging import LARGEST_INLINE, Route
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads
from authz_service.view.caller import Caller
from authz_service.view.kept import Kept

Result = TypeVar("Result")


class UnreadPipe:
    """The answer of a path that passes unread: as it comes."""

    def feed(self, data: bytes) -> AnswerStep:
        """What came goes on."""
        return AnswerStep(release=data, found={}, masked={})

    def finish(self) -> AnswerStep:
        """The end."""
        return AnswerStep(release=b"", found={}, masked={}, is_last=True)


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
            if self._unread > LARGEST_INLINE and (is_last or len(data) > LARGEST_INLINE):
                step = await self._in_turn(partial(self._step, data, is_last=is_last), self._unread)
            else:
                step = self._step(data, is_last=is_last)
        except AuthzError as error:
            return AnswerFailed(error)
        self._unread = 0 if step.release else self._unread
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

    def _step(self, data: bytes, *, is_last: bool) -> AnswerStep:
        step = self.pipe.feed(data)
        return _merged(step, self.pipe.finish()) if is_last else step

    def _asks_rules(self, step: AnswerStep) -> bool:
        """Whether there is something new to judge: the first piece that could go on, or a finding."""
        if step.found:
            self._found = _sum(self._found, step.found)
        elif self._is_judged or not (step.release or step.is_last):
            return step.is_last and self.rules.policy.holds_answers
        self._is_judged = True
        return self.rules.policy.reads_answers

    def _judged(self, step: AnswerStep, inspection: RequestInspection, kept: tuple[str, ...]) -> AnswerRead:
        now, found = self.clock(), dict(self._found)
        decision = _decide(self.rules, self.request.caller, inspection, found, now)
        approvals = self.rules.approvals_of(decision.approvals)
        new_hold = self.new_id("hold") if approvals else ""
        total = found if self.rules.policy.holds_answers else {}
        return AnswerRead(step, decision, approvals, new_hold, now, total, kept=kept)


def _decide(
    rules: Rules, caller: Caller, inspection: RequestInspection, found: Mapping[str, int], now: float
) -> Decision:
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
    pipe = _pipe(rules, route, inspection, status=status, headers=headers, restores=True)
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


def _pipe(
    rules: Rules,
    route: Route,
    inspection: RequestInspection,
    *,
    status: int,
    headers: Mapping[str, str],
    restores: bool,
) -> AnswerPipe:
    return answer_pipe(
        api=route.api,
        request=inspection.view,
        content_type=_content_type(headers, status),
        scanner=rules.scanner,
        masked_entities=rules.answer_masks,
        max_body=rules.config.limits.body,
        max_depth=rules.config.limits.depth,
        is_error=status >= 400,
        placeholders=inspection.placeholders if restores else None,
    )


async def judge_held(
    rules: Rules,
    route: Route,
    inspection: RequestInspection,
    hold: Hold,
    *,
    caller: Caller,
    now: float,
    new_hold: str,
    threads: Threads,
) -> AnswerJudged:
    """What the rules of `now` say to an answer that was approved; raises what the pipe does.

    Under other rules than those that it was held by it is read and masked again, and so is what a reviewer
    made of it or wrote in its place, whatever rules that was written under. Only then are the values restored
    that `inspection`, of the request that came with this exchange, has placeholders for.
    """
    head = hold.answer
    if head is None:
        raise ValueError("a hold of a request has no answer to judge")
    step = AnswerStep(release=hold.forward, found=hold.findings, masked={}, is_last=True)
    if hold.revisions or hold.policy != rules.policy.digest:
        pipe = _pipe(rules, route, inspection, status=head.status, headers=head.headers, restores=False)
        step = await threads.run(
            lambda: _merged(pipe.feed(hold.forward), pipe.finish()),
            size=len(hold.forward),
            caller=caller.identity,
        )
        step = step._replace(found=_most(step.found, hold.findings))
    decision = _decide(rules, caller, inspection, step.found, now)
    approvals = rules.approvals_of(decision.approvals)
    given = await _restored(rules, route, inspection, head, step.release, caller, threads)
    return AnswerJudged(
        step.release,
        decision,
        step.found,
        step.masked,
        new_hold,
        given.release,
        approvals,
        given.masked,
    )


async def _restored(
    rules: Rules,
    route: Route,
    inspection: RequestInspection,
    head: AnswerHead,
    body: bytes,
    caller: Caller,
    threads: Threads,
) -> AnswerStep:
    """A whole answer with the values of its request; its `masked` counts them."""
    if inspection.placeholders is None:
        return AnswerStep(body, {}, {})
    pipe = restoring_pipe(
        api=route.api,
        request=inspection.view,
        content_type=_content_type(head.headers, head.status),
        placeholders=inspection.placeholders,
        max_body=rules.config.limits.body,
        max_depth=rules.config.limits.depth,
        is_error=head.status >= 400,
    )
    return await threads.run(
        lambda: _merged(pipe.feed(body), pipe.finish()), size=len(body), caller=caller.identity
    )


def _most(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    """What was masked before is found no more, and was found all the same."""
    return {name: max(left.get(name, 0), right.get(name, 0)) for name in left.keys() | right.keys()}


def _content_type(headers: Mapping[str, str], status: int) -> str:
    content_type = headers.get("content-type", "")
    if not content_type:
        message = f"The model server answered with status {status} and no content type."
        raise Unreadable(message, code="unreadable_answer", status=502)
    return content_type


def _merged(first: AnswerStep, last: AnswerStep) -> AnswerStep:
    return AnswerStep(
        release=first.release + last.release,
        found=_sum(first.found, last.found),
        masked=_sum(first.masked, last.masked),
        usage=last.usage or first.usage,
        is_last=True,
        restored=added(first.restored or {}, last.restored or {}) or None,
        said=None if last.said is None else (first.said or b"") + last.said,
        kept=first.kept + last.kept,
    )


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    total = dict(left)
    for entity, n in right.items():
        total[entity] = total.get(entity, 0) + n
    return total
