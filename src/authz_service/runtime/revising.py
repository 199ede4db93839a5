"""What reviewers make of what waits, an edit or an answer of their own, by the rules of this moment."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from authz_service.audit.draft import Kind
from authz_service.core.acts import ActKind, AnswerHead
from authz_service.core.ports import DAMAGED
from authz_service.core.sessions import DAMAGED_WHY, Entry
from authz_service.core.stored_holds import Hold
from authz_service.errors import Conflict, Forbidden, Unavailable, Unreadable
from authz_service.framing.json_values import count_values
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.edited import differences, edited_request
from authz_service.inspection.edited_answer import FoundText, WholeAnswer, changed_texts
from authz_service.inspection.marks import Metered
from authz_service.inspection.results import AnswerStep, RequestInspection
from authz_service.model_apis.base import Said
from authz_service.model_apis.registry import operation_named
from authz_service.policy.decision import AnswerFacts, Decision, Effect, RequestFacts
from authz_service.runtime.judging import Route, inspect
from authz_service.runtime.rules import Rules
from authz_service.runtime.searching import SearchTime
from authz_service.runtime.threads import Threads
from authz_service.view.request import RequestView
from authz_service.view.unread import require_permitted

MOST_VALUES = 600_000
"""Of an answer that is read to be shown: a stream of 8 MiB has fewer."""
_GONE = "the record does not have it"
_STREAMS = frozenset({"text/event-stream", "application/x-ndjson"})


@dataclass(frozen=True, slots=True)
class Revised:
    """What would wait instead: `forward`, after masking, with what was found in it and, if any, its head."""

    forward: bytes
    findings: dict[str, int]
    changes: bytes
    answer: AnswerHead | None = None


@dataclass(frozen=True, slots=True)
class ToldAnswer:
    """Of an answer that waits: the texts that can be edited, of the model's, by name; and those in which the
    detectors find something, all of it unless `is_marked` is false."""

    texts: Mapping[str, str]
    found: Sequence[FoundText]
    is_marked: bool = True


@dataclass(frozen=True, slots=True)
class Revising:
    """Edits and responses raise `Forbidden` where a rule denies, `Conflict` where rules ask for another
    approval than the hold does, and `Unreadable` for what is no request, or answer, of that API.

    `entries` are those of a session on record.
    """

    rules: Callable[[], Rules]
    clock: Callable[[], float]
    threads: Threads
    entries: Callable[[str], Awaitable[Sequence[Entry]]]

    async def edited(self, hold: Hold, body: bytes) -> Revised:
        """The request of `hold` with what `body`, the whole document, changes in it."""
        rules = self.rules()
        work = partial(_edited, rules, hold, body, self.clock())
        return await self.threads.run(work, size=len(body), by_presidio=rules.asks_presidio)

    async def told(self, hold: Hold) -> ToldAnswer:
        """What an answer that waits says; nothing where it can't be read."""
        try:
            return await self.threads.run(partial(_told, self.rules(), hold))
        except (Conflict, Unreadable):
            return ToldAnswer({}, (), is_marked=False)

    async def changes(self, hold: Hold) -> Mapping[str, bytes | str]:
        """What each edit on record changed, as JSON by the id of its act; a sentence where that is gone."""
        acts = [act.id for act in hold.revisions if act.kind is ActKind.EDIT]
        if not acts:
            return {}
        told: dict[str, bytes | str] = dict.fromkeys(acts, _GONE)
        for entry in await self.entries(hold.session):
            act = entry.data.get("act")
            if entry.kind == Kind.HOLD_EDITED and isinstance(act, str) and act in told:
                told[act] = entry.payloads.get("changes", entry.missing.get("changes", _GONE))
        return told

    async def edited_answer(self, hold: Hold, texts: Mapping[str, str]) -> Revised:
        """The model's answer of `hold` with `texts` in the place of those of the same names."""
        if not hold.is_answer:
            raise Conflict("no answer of the model's waits here; edit the request", code="request_waits")
        if hold.is_response:
            raise Conflict("a reviewer's answer waits here; decide about that", code="was_revised")
        asked = _Asked.of(await self.entries(hold.session))
        return await self.threads.run(partial(_edited_answer, self.rules(), hold, texts, asked, self.clock()))

    async def response(self, hold: Hold, text: str) -> Revised:
        """An answer to the request of `hold` that says `text`, in the caller's own API.

        Also in the place of an answer of the model's that waits there.
        """
        asked = _Asked.of(await self.entries(hold.session)) if hold.is_answer else None
        return await self.threads.run(partial(_response, self.rules(), hold, text, asked, self.clock()))


def _told(rules: Rules, hold: Hold) -> ToldAnswer:
    if count_values(hold.forward, MOST_VALUES) == MOST_VALUES:
        return ToldAnswer({}, (), is_marked=False)
    metered = Metered(rules.scanner, SearchTime())
    texts, found = answer_of(rules, hold, unknown_request(hold)).told(metered)
    is_editable = hold.is_answer and not hold.is_response
    return ToldAnswer(texts if is_editable else {}, found, is_marked=not metered.is_cut)


def _edited(rules: Rules, hold: Hold, body: bytes, now: float) -> Revised:
    if hold.answer is not None:
        raise Conflict("an answer waits here: edit its texts, not the request", code="answer_waits")
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


def _response(rules: Rules, hold: Hold, text: str, asked: _Asked | None, now: float) -> Revised:
    if hold.revisions:
        raise Conflict("what waits was edited or answered before; decide about that", code="was_revised")
    route = _route(hold)
    if not hold.is_answer:
        asked = _Asked(hold.forward, hold.findings)
    view = unknown_request(hold) if asked is None else _inspect(rules, route, asked.body).view
    said = Said(text, secrets.token_hex(12), int(now))
    own = route.api.own_answer(view, said)
    if own is None:
        message = f"{hold.api} {hold.operation} is not answered with words"
        raise Unreadable(message, code="respond_unsupported")
    depth = rules.config.limits.depth
    masked = _masked(rules, WholeAnswer(route.api, view, own.content_type, own.body, depth))
    facts = AnswerFacts(hold.caller, view, {} if asked is None else asked.findings, masked.found, now)
    _require(rules, hold, rules.policy.decide_answer(facts), what="answer")
    head = AnswerHead(200, {"content-type": own.content_type}, masked.masked)
    return Revised(masked.release, dict(masked.found), b"", head)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The request that a model answered, as it went out, and what was found in it."""

    body: bytes
    findings: Mapping[str, int]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> _Asked | None:
        """None where it is not kept any more, or another session has it.

        Raises `Unavailable` (`record_damaged`) where an entry or a payload of the session does not tell.
        """
        if any(DAMAGED_WHY in entry.missing.values() for entry in entries):
            raise Unavailable("what is stored of this session is damaged", code=DAMAGED)
        body, findings = None, {}
        for entry in entries:
            found = entry.data.get("findings")
            if entry.kind == Kind.REQUEST_DECIDED and isinstance(found, dict):
                findings = found
            elif entry.kind == Kind.REQUEST_RELEASED:
                body = entry.payloads.get("body")
        return None if body is None else cls(body, findings)


def _edited_answer(
    rules: Rules, hold: Hold, texts: Mapping[str, str], asked: _Asked | None, now: float
) -> Revised:
    head = hold.answer
    if head is None:
        raise ValueError("a hold of a request has no answer to edit")
    if head.status >= 400:
        raise Unreadable("an error can't be edited; release or withhold it", code="edit_unsupported")
    view = unknown_request(hold) if asked is None else _inspect(rules, _route(hold), asked.body).view
    answer = answer_of(rules, hold, view)
    edited = replace(answer, body=answer.edited(texts, rules.scanner.entities))
    step = _masked(rules, edited)
    found, masked = _sum(step.found, head.masked), _sum(step.masked, head.masked)
    if asked is not None:  # else what rules say to it shows when it is released: they are asked then too
        facts = AnswerFacts(hold.caller, view, asked.findings, found, now)
        _require(rules, hold, rules.policy.decide_answer(facts), what="edited answer")
    if step.release == hold.forward:
        raise Unreadable("nothing was edited", code="nothing_edited")
    changes = changed_texts(answer.texts(), replace(answer, body=step.release).texts())
    return Revised(step.release, found, changes, replace(head, masked=masked))


def answer_of(rules: Rules, hold: Hold, request: RequestView) -> WholeAnswer:
    """The whole answer that waits; raises `ValueError` where a request does."""
    if hold.answer is None:
        raise ValueError("a hold of a request has no answer to read")
    content_type = hold.answer.headers.get("content-type", "")
    return WholeAnswer(_route(hold).api, request, content_type, hold.forward, rules.config.limits.depth)


def unknown_request(hold: Hold) -> RequestView:
    """Enough of a request to read its answer by, and to answer it in the same way."""
    content_type = hold.answer.headers.get("content-type", "") if hold.answer else ""
    is_stream = content_type.partition(";")[0].strip().lower() in _STREAMS
    return RequestView(hold.api, hold.operation, hold.model, is_stream, ())


def _masked(rules: Rules, answer: WholeAnswer) -> AnswerStep:
    pipe = answer_pipe(
        api=answer.api,
        request=answer.request,
        content_type=answer.content_type,
        scanner=rules.scanner,
        masked_entities=rules.answer_masks,
        max_body=rules.config.limits.body,
        max_depth=rules.config.limits.depth,
    )
    first, last = pipe.feed(answer.body), pipe.finish()
    found, masked = _sum(first.found, last.found), _sum(first.masked, last.masked)
    return AnswerStep(first.release + last.release, found, masked, is_last=True)


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
