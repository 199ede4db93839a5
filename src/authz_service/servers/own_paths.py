"""What the gateway answers itself: the list of models, and a caller's own holds and use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from authz_service.audit.entry import rfc3339
from authz_service.core.stored_holds import HoldSummary
from authz_service.errors import AuthzError, NotFound
from authz_service.model_apis.base import ApiError
from authz_service.model_apis.registry import MODELS_PATH, error_shape, models_list
from authz_service.runtime.gateway import Gateway
from authz_service.servers.own_usage import OWN_USAGE, own_usage
from authz_service.view.caller import Caller
from authz_service.view.scope import Scope

OWN_HOLDS = "/.well-known/authz/holds/"


@dataclass(frozen=True, slots=True)
class OwnReply:
    """A whole answer of ours, in JSON."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


async def own_reply(gateway: Gateway, caller: Caller, method: str, path: str) -> OwnReply | None:
    """The answer when the path is one of ours, else None."""
    try:
        if method == "GET" and path == MODELS_PATH:
            return OwnReply(200, models_list(_models(gateway, caller), created=0))
        if method == "GET" and path.startswith(OWN_HOLDS):
            name = path.removeprefix(OWN_HOLDS)
            hold = (await gateway.store.summaries([name])).get(name)
            return OwnReply(200, await _hold_state(gateway, _own(hold, caller)))
        if method == "GET" and path == OWN_USAGE:
            return OwnReply(200, await own_usage(gateway, caller))
    except AuthzError as error:
        reply = OwnReply(
            error.status, error_shape(path).error_body(ApiError(error.status, error.code, str(error)))
        )
        return replace(reply, headers={**reply.headers, "retry-after": "1"}) if error.status == 429 else reply
    return None


def _models(gateway: Gateway, caller: Caller) -> list[str]:
    """Names, then aliases; of a caller with a scope those that are in it."""
    models = gateway.rules.models
    names = [*dict.fromkeys(models.values()), *(alias for alias, name in models.items() if alias != name)]
    if caller.scope is None:
        return names
    scope = Scope.of(caller.scope)
    return [name for name in names if scope.has_model(name, models[name])]


def _own(hold: HoldSummary | AuthzError | None, caller: Caller) -> HoldSummary:
    """The hold, if it is the caller's; another's is not told apart from one that does not exist."""
    if isinstance(hold, AuthzError):
        raise hold
    if hold is None or hold.caller.identity != caller.identity:
        raise NotFound("There is no such hold of yours.", code="hold_not_found")
    return hold


async def _hold_state(gateway: Gateway, hold: HoldSummary) -> bytes:
    now = await gateway.store.now()
    waiting = await gateway.store.waiting_for([hold.id])
    reasons = [{"verdict": v.verdict.value, "reason": v.reason} for v in hold.votes]
    return orjson.dumps(
        {
            "id": hold.id,
            "state": hold.state.value,
            "waits": "answer" if hold.is_answer else "request",
            "edited": hold.is_edited,
            "responded": hold.is_response,
            "rule": hold.rule,
            "model": hold.model,
            "created_at": rfc3339(int(hold.created_at * 1e6)),
            "deadline": rfc3339(int(hold.deadline * 1e6)),
            "waiting": waiting.get(hold.id, 0),
            "votes": reasons,
            "released_to": hold.released_to,
            "as_of": rfc3339(int(now * 1e6)),
        }
    )
