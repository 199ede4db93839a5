"""What the core asks of the rules for one exchange, about its request and about an answer that was held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

from authz_service.core.commands import Judge, JudgeAnswer
from authz_service.core.events import AnswerFailed, Event, RequestFailed, RequestJudged
from authz_service.core.exchange import Exchange
from authz_service.core.kept import secret_of
from authz_service.errors import AuthzError, NotFound
from authz_service.inspection.results import RequestInspection
from authz_service.policy.decision import Effect
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.held_answers import judge_held
from authz_service.runtime.judging import Route, judge
from authz_service.runtime.store_commands import StoreCommands
from authz_service.view.caller import Caller

NOT_YOURS = (
    "What this request refers to (previous_response_id, conversation or item_reference) is not known to be "
    "yours: only what this gateway gave you in an answer of the same model server can be referred to. Send "
    "the whole conversation instead."
)


@dataclass(slots=True)
class JudgeCommands:
    """Those commands of one exchange that the rules answer. `inspection` is what was read of its request."""

    gateway: Gateway
    exchange: Exchange
    route: Route | None
    new_id: Callable[[str], str]
    store: StoreCommands
    inspection: RequestInspection | None = None
    has_waited: bool = False

    async def judge(self, command: Judge) -> Event:
        """What the rules of this moment say to the request; whoever waited is looked at again first."""
        try:
            if self.has_waited:
                await self._recheck(command.caller)
            self.gateway.require_rules()
        except AuthzError as error:
            return RequestFailed(error)
        rules = self.gateway.rules
        original = self.inspection if command.is_edited else None
        # One that is taken up was judged and counted in the process that had it.
        is_first = not (self.has_waited or command.is_edited or self.exchange.is_recorded)
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
            within=self.gateway.judging(self.exchange.request.session),
        )
        if isinstance(judged, RequestJudged) and judged.names:
            try:
                judged = await self._if_own(judged, server=rules.servers[judged.model])
            except AuthzError as error:
                return self.store.failed(error)
        if is_first:
            self.gateway.decisions[_word(judged)] += 1
            self.gateway.took.decide.add(perf_counter() - began)
        if isinstance(judged, RequestFailed):
            return await self.store.counted(judged) if is_first else judged
        self.inspection = judged.inspection
        if is_first and judged.inspection is not None and judged.inspection.masked:
            self.gateway.count_masked("request", judged.inspection.masked)
        if original is not None and judged.inspection is not None:
            # What the placeholders in it stand for is in what the caller sent.
            self.inspection = replace(judged.inspection, placeholders=original.placeholders)
        return replace(judged, new_hold=self.new_id("hold")) if judged.approvals else judged

    async def _if_own(self, judged: RequestJudged, *, server: str) -> RequestJudged | RequestFailed:
        """The same, unless it may go on and names what a model server keeps that is not this caller's."""
        if judged.decision.effect is Effect.DENY:
            return judged
        names = {self.gateway.pseudonym(secret_of(each, server=server)) for each in judged.names}
        if await self.gateway.store.owned(names, self.exchange.request.pseudonym):
            return judged
        return RequestFailed(NotFound(NOT_YOURS, code="reference_not_yours"), judged)

    async def judge_answer(self, command: JudgeAnswer) -> Event:
        """What the rules of this moment say to an answer that was approved."""
        if self.route is None or self.inspection is None:
            raise RuntimeError("an answer is held without the request that it belongs to")
        try:
            await self._recheck(command.caller)
            self.gateway.require_rules()
            return await judge_held(
                self.gateway.rules,
                self.route,
                self.inspection,
                command.hold,
                caller=command.caller,
                now=self.gateway.clock(),
                new_hold=self.new_id("hold"),
                threads=self.gateway.answer_threads,
                within=self.gateway.judging(self.exchange.request.session),
            )
        except AuthzError as error:
            return AnswerFailed(error)

    async def _recheck(self, caller: Caller) -> None:
        """Of the token that the connection came with, and of the one that opened the hold."""
        await self.gateway.recheck(self.exchange.request.caller)
        if caller is not self.exchange.request.caller:
            await self.gateway.recheck(caller)


def _word(judged: RequestJudged | RequestFailed) -> str:
    return "refused" if isinstance(judged, RequestFailed) else judged.decision.effect.name.lower()
