"""The UsageService of authz.v1: auditors and operators see what was used, and what is left of each limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from authz_api.v1 import usage_pb2 as pb
from authz_api.v1.usage_pb2_grpc import UsageServiceServicer
from authz_service.core.api_keys import ApiKey, ApiKeyStore
from authz_service.core.limits import DAY, CountedBy, Limit, Quota, QuotaKey, quotas_of
from authz_service.core.usage import MOST_ROWS, Dimension, Left, Usage, UsageQuery, UsageStore
from authz_service.errors import Unreadable
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.view.caller import API_KEYS, Caller

MOST_LOOKED_AT: Final = 500
"""Callers, or keys, whose limits are told at once: each is asked of the record."""

_DIMENSIONS: Final = {
    pb.USAGE_DIMENSION_DAY: Dimension.DAY,
    pb.USAGE_DIMENSION_CALLER: Dimension.CALLER,
    pb.USAGE_DIMENSION_GROUP: Dimension.GROUP,
    pb.USAGE_DIMENSION_KEY: Dimension.KEY,
    pb.USAGE_DIMENSION_MODEL: Dimension.MODEL,
}


@dataclass(frozen=True, slots=True)
class UsageReview(UsageServiceServicer):
    """Over the record. `limits` and `models` are those in force, `now` is the store's clock."""

    store: UsageStore
    keys: ApiKeyStore
    calls: Calls
    limits: Callable[[], tuple[Limit, ...]]
    models: Callable[[], Collection[str]]
    now: Callable[[], Awaitable[float]]

    async def ListUsage(self, request: pb.ListUsageRequest, context: Context) -> pb.ListUsageResponse:
        """A report."""
        async with answering(context):
            (await self.calls.standing(context)).require_usage()
            most = min(request.limit, MOST_ROWS) if request.limit > 0 else MOST_ROWS
            query = _query(request, now=await self.now(), most=most + 1)
            found = await self.store.usage(query)
            return pb.ListUsageResponse(usage=map(_usage, found[:most]), is_cut=len(found) > most)

    async def ListLimits(self, request: pb.ListLimitsRequest, context: Context) -> pb.ListLimitsResponse:
        """What is left, of whom the request names, or else of all."""
        async with answering(context):
            (await self.calls.standing(context)).require_usage()
            now, names = await self.now(), dict[str, str]()
            quotas: dict[QuotaKey, Quota] = {}
            callers = await self._callers(request, now)
            keys = await self._keys(request, now)
            for pseudonym, caller in callers[:MOST_LOOKED_AT]:
                names[pseudonym] = caller.subject
                of_caller = quotas_of(self.limits(), caller, pseudonym)
                quotas |= {q.key: q for q in of_caller if q.by is CountedBy.CALLER}
            for key in keys[:MOST_LOOKED_AT]:
                names[key.id] = key.name
                of_key = quotas_of(self.limits(), _caller(key), "")
                quotas |= {q.key: q for q in of_key if q.by is CountedBy.KEY}
            if not request.caller and not request.key:
                quotas |= {q.key: q for q in _shared(self.limits(), self.models())}
            found = await self.store.left(quotas.values())
            is_cut = max(len(callers), len(keys)) > MOST_LOOKED_AT
            return pb.ListLimitsResponse(limits=[_limit(one, names) for one in found], is_cut=is_cut)

    async def _callers(self, request: pb.ListLimitsRequest, now: float) -> list[tuple[str, Caller]]:
        if request.key and not request.caller:
            return []
        most = MOST_LOOKED_AT + 1
        found = await self.store.active_callers(now - DAY, request.caller, most=most)
        return [(one.pseudonym, one.caller) for one in found]

    async def _keys(self, request: pb.ListLimitsRequest, now: float) -> list[ApiKey]:
        if request.caller and not request.key:
            return []
        every = await self.keys.api_keys()
        live = [
            key for key in every if key.revoked_at is None and key.expires_at > now and not key.is_damaged
        ]
        return [key for key in live if not request.key or request.key in (key.id, key.name)]


def _query(request: pb.ListUsageRequest, *, now: float, most: int) -> UsageQuery:
    by = tuple(_DIMENSIONS[each] for each in request.by if each in _DIMENSIONS)
    if not by or len(by) != len(request.by) or len(set(by)) != len(by):
        message = "say by what usage is told apart: day, caller, group, key or model, none of them twice"
        raise Unreadable(message, code="usage_by_required")
    since = request.since.ToNanoseconds() / 1e9 if request.HasField("since") else now - DAY
    until = request.until.ToNanoseconds() / 1e9 if request.HasField("until") else None
    if until is not None and until <= since:
        raise Unreadable("the end of the time that is asked about is not after its begin", code="usage_range")
    return UsageQuery(by, since, until, request.caller, request.group, request.key, request.model, most)


def _shared(limits: tuple[Limit, ...], models: Collection[str]) -> Iterator[Quota]:
    """Those of groups' budgets and of models."""
    groups = frozenset(name for limit in limits for name in limit.only if limit.by is CountedBy.GROUP)
    anybody = Caller("", "", 0.0, tuple(groups))
    for model in sorted(models):
        of_all = quotas_of(limits, anybody, "", model)
        yield from (quota for quota in of_all if quota.by in (CountedBy.GROUP, CountedBy.MODEL))


def _caller(key: ApiKey) -> Caller:
    claims = {"key": key.id, "owner": key.owner}
    return Caller(API_KEYS, key.name, key.expires_at, key.groups, claims=claims, scope=key.scope)


def _usage(found: Usage) -> pb.Usage:
    return pb.Usage(
        day=found.day,
        caller=found.caller,
        subject=found.subject,
        group=found.group,
        key=found.key,
        model=found.model,
        requests=found.requests,
        limited=found.limited,
        held=found.held,
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        tokens=found.tokens,
        bytes=found.size,
    )


def _limit(found: Left, names: Mapping[str, str]) -> pb.Limit:
    message = pb.Limit(
        of=found.by.value,
        id=found.name,
        name=names.get(found.name, found.name),
        what=found.what,
        limit=found.limit,
        used=found.used,
        left=found.left,
        models=found.models,
    )
    if found.again is not None:
        message.room_in.FromTimedelta(timedelta(seconds=found.again))
    return message
