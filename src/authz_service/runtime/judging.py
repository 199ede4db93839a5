"""Judges a request by the rules of this moment: reads it, looks for findings, decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

from authz_service.core.events import RequestFailed, RequestJudged
from authz_service.core.limits import demand_of
from authz_service.core.request import Request
from authz_service.errors import AuthzError, Forbidden, NotFound, Unreadable
from authz_service.inspection.bodies import read_body
from authz_service.inspection.request import inspect_request
from authz_service.inspection.restored import added
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.model_apis.unsupported import why_unsupported
from authz_service.policy.decision import Effect, RequestFacts
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import MOST_WAITING, NOT_MARKED, Threads
from authz_service.view.caller import Caller
from authz_service.view.kept import Kept
from authz_service.view.scope import Scope
from authz_service.view.unread import require_permitted

LARGEST_INLINE = 32 * 1024
"""Bytes of body that are judged on the event loop; larger ones go to a thread."""


@dataclass(frozen=True, slots=True)
class Route:
    """The adapter and operation that own a request's method and path."""

    api: ModelApi
    operation: Operation


async def judge(
    rules: Rules,
    request: Request,
    route: Route | None,
    body: bytes,
    *,
    caller: Caller,
    now: float,
    new_hold: str,
    threads: Threads,
    masked: Mapping[str, int] | None = None,
    is_first: bool = False,
    within: AbstractContextManager[None] = NOT_MARKED,
) -> RequestJudged | RequestFailed:
    """What the rules say to `body` as sent by `caller` at `now` (seconds since the epoch).

    `masked` counts what was found in it before it was masked, and is found in it no more. With `is_first`
    no approval waits for what comes of it, and it fails where too many of the caller's wait to be read.
    It is read `within` that context, and not while it waits for its turn.
    """
    try:
        if route is None:
            with within:
                return _judge_path(rules, request, body, caller=caller, now=now, new_hold=new_hold)
        work = partial(
            _judge_body, rules, request, route, body, caller=caller, now=now, new_hold=new_hold, masked=masked
        )
        is_large = len(body) > LARGEST_INLINE
        if not (is_large or rules.asks_presidio):
            with within:
                return work()
        return await threads.run(
            partial(_in_full, work, is_first) if is_large else work,
            size=len(body),
            caller=caller.identity,
            by_presidio=rules.asks_presidio,
            most=MOST_WAITING if is_first else None,
            within=within,
        )
    except AuthzError as error:
        return RequestFailed(error)


def _judge_path(
    rules: Rules, request: Request, body: bytes, *, caller: Caller, now: float, new_hold: str
) -> RequestJudged:
    decision = rules.policy.decide_path(method=request.method, path=request.path, caller=caller, now=now)
    require_path(caller, request.path)
    listed = [p for p in rules.config.paths if (p.method, p.path) == (request.method, request.path)]
    if decision is None or not listed:
        message = (
            f"{request.method} {request.path} is no model API of this gateway, "
            f"and not among the paths that may pass unread. {why_unsupported(request.path)}"
        )
        raise NotFound(message.rstrip(), code="unknown_path")
    model = listed[0].model
    demand = demand_of(rules.config.limits.rates, caller, request.pseudonym, model, None, size=len(body))
    return RequestJudged(decision=decision, model=model, new_hold=new_hold, now=now, demand=demand)


def _judge_body(
    rules: Rules,
    request: Request,
    route: Route,
    body: bytes,
    *,
    caller: Caller,
    now: float,
    new_hold: str,
    masked: Mapping[str, int] | None,
) -> RequestJudged | RequestFailed:
    """Inspect and decide: rules may read texts too, and a pattern over megabytes takes its time.

    What the request carries unread is refused here, whatever was decided, unless the rules permit it.
    """
    if not body:
        raise Unreadable("The request has no body; a JSON object is expected.", code="invalid_json")
    inspection = inspect(
        rules, route, body, partial(_head, request), content_type=request.headers.get("content-type")
    )
    names: tuple[Kept, ...] = ()
    unread = inspection.view.unread
    if unread and any(value.kept is not None for value in unread):
        names = _named(route, inspection.forward, rules.config.limits.depth, request)
    if masked:
        inspection = replace(inspection, findings=added(inspection.findings, masked))
    asked = inspection.view.model
    try:
        require_scope(
            caller,
            _names(rules, asked) if caller.scope is not None else (asked,),
            api=route.api.name,
            path=request.path,
        )
    except Forbidden as error:
        return RequestFailed(error, model=rules.models[asked])
    decision = rules.policy.decide_request(RequestFacts(caller, inspection.view, inspection.findings, now))
    judged = RequestJudged(
        decision=decision,
        model=rules.models[inspection.view.model],
        new_hold=new_hold,
        now=now,
        inspection=inspection,
        approvals=rules.approvals_of(decision.approvals),
        holds_answers=rules.policy.holds_answers,
        demand=demand_of(
            rules.config.limits.rates,
            caller,
            request.pseudonym,
            rules.models[asked],
            inspection.view,
            size=len(body),
        ),
        names=names,
    )
    try:
        require_permitted(inspection.view.unread, decision.permits)
    except Unreadable as error:
        return RequestFailed(error, judged)
    return judged


def _named(route: Route, forward: bytes, max_depth: int, request: Request) -> tuple[Kept, ...]:
    """The results of other exchanges that the model would read of in these bytes: masks may change an id."""
    content_type = request.headers.get("content-type")
    read = read_body(forward, route.operation.takes, content_type=content_type, max_depth=max_depth)
    view = route.api.read_request(route.operation, read.document)
    return tuple(unread.kept for unread in view.unread if unread.kept is not None)


def _in_full(
    work: Callable[[], RequestJudged | RequestFailed], is_first: bool
) -> RequestJudged | RequestFailed:
    """The same with what will be asked for later made: later is on the event loop, and it takes its time.

    Of a request that goes on at once nothing is asked.
    """
    judged = work()
    if isinstance(judged, RequestFailed):
        return judged if judged.judged is None else replace(judged, judged=_made(judged.judged))
    goes_on = is_first and judged.decision.effect is Effect.ALLOW and not judged.holds_answers
    return judged if goes_on else _made(judged)


def _made(judged: RequestJudged) -> RequestJudged:
    if judged.inspection is None:
        return judged
    is_held = judged.decision.effect is Effect.HOLD
    return replace(judged, inspection=judged.inspection.in_full(with_template=is_held))


def require_scope(caller: Caller, models: tuple[str, ...], *, api: str, path: str) -> None:
    """Raise `Forbidden` where the scope of a key or service account has not this model, or this way to it.

    It comes before the rules, which cannot give what the scope has not.
    """
    if caller.scope is None:
        return
    scope = Scope.of(caller.scope)
    if not scope.has_model(*models):
        raise _out_of_scope(f"the model {models[0]}")
    if not scope.has_way(api, path):
        raise _out_of_scope(f"{path} ({api})")


def _names(rules: Rules, model: str) -> tuple[str, ...]:
    """The model's own name first, then its aliases."""
    return (model, *(name for name, own in rules.models.items() if own == model and name != model))


def require_path(caller: Caller, path: str) -> None:
    """Raise `Forbidden` where the scope has not this path, which passes unread."""
    if caller.scope is not None and not Scope.of(caller.scope).has_path(path):
        raise _out_of_scope(path)


def _out_of_scope(what: str) -> Forbidden:
    message = f"This key or service account may not ask for {what}: that is not in its scope."
    return Forbidden(message, code="out_of_scope")


def inspect(
    rules: Rules, route: Route, body: bytes, head: Callable[[str], bytes], *, content_type: str | None
) -> RequestInspection:
    """Read `body` and look for findings; raises `Unreadable`."""
    return inspect_request(
        body,
        api=route.api,
        operation=route.operation,
        scanner=rules.request_scanner,
        masked_entities=rules.request_masks,
        models=rules.models,
        noise=rules.config.holds.noise,
        max_depth=rules.config.limits.depth,
        head=head,
        content_type=content_type,
    )


def _head(request: Request, model: str) -> bytes:
    """The same request beside its body: method, path, model and headers that change meaning."""
    meaning = sorted(h for h in request.headers.items() if h[0] not in ("user-agent", "idempotency-key"))
    return "\0".join((request.method, request.path, model, repr(meaning), "")).encode()
