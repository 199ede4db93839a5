"""What reviewers make of a request, an edit of it or an answer of their own, by the rules of this moment."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from authz_service.core.acts import AnswerHead
from authz_service.core.ports import Hold
from authz_service.errors import Conflict, Forbidden, Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.edited import differences, edited_request
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.base import Said
from authz_service.model_apis.registry import operation_named
from authz_service.policy.decision import AnswerFacts, Decision, Effect, RequestFacts
from authz_service.runtime.judging import Route, inspect
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads
from authz_service.view.unread import require_permitted


@dataclass(frozen=True, slots=True)
class Revised:
    """What would wait instead: `forward`, after masking, with what was found in it and, if any, its head."""

    forward: bytes
    findings: dict[str, int]
    changes: bytes
    answer: AnswerHead | None = None


@dataclass(frozen=True, slots=True)
class Revising:
    """Both methods raise `Forbidden` where a rule denies, `Conflict` where rules ask for another approval
    than the hold does, and `Unreadable` for what is no request, or answer, of that API."""

    rules: Callable[[], Rules]
    clock: Callable[[], float]
    threads: Threads

    async def edited(self, hold: Hold, body: bytes) -> Revised:
        """The request of `hold` with what `body`, the whole document, changes in it."""
        return await self.threads.run(partial(_edited, self.rules(), hold, body, self.clock()))

    async def response(self, hold: Hold, text: str) -> Revised:
        """An answer to the request of `hold` that says `text`, in the caller's own API."""
        return await self.threads.run(partial(_response, self.rules(), hold, text, self.clock()))


def _edited(rules: Rules, hold: Hold, body: bytes, now: float) -> Revised:
    if hold.answer is not None:
        raise Conflict("an answer waits here, and answers can't be edited", code="answer_waits")
    read = partial(_inspect, rules, _route(hold))
    inspection = edited_request(hold.forward, body, read, rules.scanner.entities)
    # What was masked is found no more, and stands in it all the same.
    masked = _less(hold.findings, read(hold.forward).findings)
    findings = _sum(inspection.findings, masked)
    facts = RequestFacts(hold.caller, inspection.view, findings, now)
    decision = rules.policy.decide_request(facts)
    _require(rules, hold, decision, what="edited request")
    require_permitted(inspection.view.unread, decision.permits)
    changes = differences(hold.forward, inspection.forward)
    return Revised(inspection.forward, findings, changes)


def _response(rules: Rules, hold: Hold, text: str, now: float) -> Revised:
    if hold.is_answer:
        raise Conflict("the model has answered already; release or withhold that", code="answer_waits")
    if hold.revisions:
        raise Conflict("this request was edited or answered before; decide about that", code="was_revised")
    route = _route(hold)
    request = _inspect(rules, route, hold.forward)
    said = Said(text, secrets.token_hex(12), int(now))
    own = route.api.own_answer(request.view, said)
    if own is None:
        message = f"{hold.api} {hold.operation} is not answered with words"
        raise Unreadable(message, code="respond_unsupported")
    pipe = answer_pipe(
        api=route.api,
        request=request.view,
        content_type=own.content_type,
        scanner=rules.scanner,
        masked_entities=rules.answer_masks,
        max_body=rules.config.limits.body,
        max_depth=rules.config.limits.depth,
    )
    first, last = pipe.feed(own.body), pipe.finish()
    found = _sum(first.found, last.found)
    facts = AnswerFacts(hold.caller, request.view, hold.findings, found, now)
    _require(rules, hold, rules.policy.decide_answer(facts), what="answer")
    masked = _sum(first.masked, last.masked)
    head = AnswerHead(200, {"content-type": own.content_type}, masked)
    return Revised(first.release + last.release, found, b"", head)


def _route(hold: Hold) -> Route:
    found = operation_named(hold.api, hold.operation)
    if found is None:
        raise Conflict("what this request asked for is not served here any more", code="unknown_operation")
    api, operation = found
    return Route(api, replace(operation, model=hold.model) if "{model}" in operation.path else operation)


def _inspect(rules: Rules, route: Route, body: bytes) -> RequestInspection:
    return inspect(rules.for_edited, route, body, lambda model: b"", content_type=None)


def _require(rules: Rules, hold: Hold, decision: Decision, *, what: str) -> None:
    if decision.effect is Effect.DENY:
        reason = f": {decision.reason}" if decision.reason else ""
        raise Forbidden(f"the rule {decision.rule} denies this {what}{reason}", code="revision_denied")
    if decision.effect is Effect.HOLD and rules.approvals_of(decision.approvals) != hold.approvals:
        message = f"the rule {decision.rule} asks for another approval of this {what} than the hold does"
        raise Conflict(message, code="other_approval")


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in left.keys() | right.keys()}


def _less(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    rest = {name: count - right.get(name, 0) for name, count in left.items()}
    return {name: count for name, count in rest.items() if count > 0}
