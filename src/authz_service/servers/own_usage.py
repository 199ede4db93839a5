"""What callers see of their own use: `GET /.well-known/authz/usage` at the gateway."""

from __future__ import annotations

import math

import orjson

from authz_service.audit.entry import rfc3339
from authz_service.core.limits import DAY, quotas_of
from authz_service.core.usage import Dimension, Left, Usage, UsageQuery
from authz_service.errors import TooMany
from authz_service.runtime.gateway import Gateway
from authz_service.view.caller import Caller

OWN_USAGE = "/.well-known/authz/usage"


async def own_usage(gateway: Gateway, caller: Caller) -> bytes:
    """JSON: what the caller used in the last 24 hours, and what is left of each limit of theirs.

    Models' limits are not among them: what is used of these, others have used too. Raises `TooMany` while
    the same caller's question before is not answered, so that nobody keeps others waiting with a crowd.
    """
    pseudonym = gateway.pseudonym(caller.identity)
    if pseudonym in gateway.usage_asking:
        message = "You have asked this already, and the answer is under way; ask again when it is there."
        raise TooMany(message, code="already_asked")
    gateway.usage_asking.add(pseudonym)
    try:
        return await _own_usage(gateway, caller, pseudonym)
    finally:
        gateway.usage_asking.discard(pseudonym)


async def _own_usage(gateway: Gateway, caller: Caller, pseudonym: str) -> bytes:
    now = await gateway.store.now()
    query = UsageQuery((Dimension.CALLER,), now - DAY, pseudonym=pseudonym, most=1)
    quotas = quotas_of(gateway.rules.config.limits.rates, caller, pseudonym)
    async with gateway.usage_asked:
        found = await gateway.usage.usage(query)
        limits = await gateway.usage.left(quotas)
    return orjson.dumps(
        {
            "caller": {"issuer": caller.issuer, "subject": caller.subject},
            "as_of": rfc3339(int(now * 1e6)),
            "last_24_hours": _used(found[0] if found else Usage()),
            "limits": [_limit(limit) for limit in limits],
        }
    )


def _used(usage: Usage) -> dict[str, int]:
    return {
        "requests": usage.requests,
        "limited": usage.limited,
        "held": usage.held,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens": usage.tokens,
        "bytes": usage.size,
    }


def _limit(found: Left) -> dict[str, object]:
    """`name` is that of a group's budget, or a key's id; of the caller it would be a pseudonym."""
    return {
        "of": found.by.value,
        "name": None if found.by.value == "caller" else found.name,
        "models": list(found.models),
        "limit": found.what,
        "most": found.limit,
        "used": found.used,
        "left": found.left,
        "room_in": None if found.again is None else max(1, math.ceil(found.again)),
    }
