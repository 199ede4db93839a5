"""What `authz usage` does at the review API, once it is called."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime

import click

from authz_api.v1 import usage_pb2 as pb
from authz_api.v1.usage_pb2_grpc import UsageServiceStub
from authz_cli.calls import PATIENCE, calling
from authz_cli.hold_json import Object
from authz_cli.options import Target
from authz_cli.table import table

_BY = {
    "day": pb.USAGE_DIMENSION_DAY,
    "caller": pb.USAGE_DIMENSION_CALLER,
    "group": pb.USAGE_DIMENSION_GROUP,
    "key": pb.USAGE_DIMENSION_KEY,
    "model": pb.USAGE_DIMENSION_MODEL,
}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Asked:
    """A report, as it was typed."""

    by: tuple[str, ...]
    caller: str
    group: str
    key: str
    model: str
    since: datetime | None
    until: datetime | None
    limit: int

    def request(self) -> pb.ListUsageRequest:
        """As the server is asked."""
        request = pb.ListUsageRequest(
            by=[_BY[word] for word in dict.fromkeys(self.by)],
            caller=self.caller,
            group=self.group,
            key=self.key,
            model=self.model,
            limit=self.limit,
        )
        if self.since is not None:
            request.since.FromDatetime(self.since)
        if self.until is not None:
            request.until.FromDatetime(self.until)
        return request


def show_usage(target: Target, asked: Asked, *, as_json: bool) -> None:
    """Print a report."""
    with calling(target, UsageServiceStub) as (api, call):
        found = call(lambda m: api.ListUsage(asked.request(), timeout=PATIENCE, metadata=m))
    if as_json:
        click.echo(json.dumps([_object(usage, asked.by) for usage in found.usage], indent=2))
    elif not found.usage:
        click.echo("nothing was used in that time")
    else:
        heads = ["REQUESTS", "LIMITED", "HELD", "TOKENS IN", "TOKENS OUT", "COUNTED", "RECORDED"]
        words = list(dict.fromkeys(asked.by))
        rows = [_row(usage, words) for usage in found.usage]
        click.echo(table([*(word.upper() for word in words), *heads], rows))
    if found.is_cut:
        click.echo(f"there are more than {asked.limit}: say --limit, or filter", err=True)


def show_left(target: Target, *, caller: str, key: str, as_json: bool) -> None:
    """Print each limit, and what is left of it."""
    request = pb.ListLimitsRequest(caller=caller, key=key)
    with calling(target, UsageServiceStub) as (api, call):
        found = call(lambda m: api.ListLimits(request, timeout=PATIENCE, metadata=m))
    if as_json:
        click.echo(json.dumps([_limit_object(limit) for limit in found.limits], indent=2))
    elif not found.limits:
        click.echo("no limit is meant for anybody who has asked in the last 24 hours")
    else:
        heads = ["OF", "NAME", "LIMIT", "MOST", "USED", "LEFT", "ROOM IN"]
        click.echo(table(heads, [_limit_row(limit) for limit in found.limits]))
    if found.is_cut:
        click.echo("there are more callers or keys: say --caller or --key", err=True)


def _row(usage: pb.Usage, words: list[str]) -> list[str]:
    numbers = (usage.requests, usage.limited, usage.held, usage.prompt_tokens, usage.completion_tokens)
    return [
        *(_shown(usage, word) for word in words),
        *map(str, (*numbers, usage.tokens)),
        _size(usage.bytes),
    ]


def _shown(usage: pb.Usage, word: str) -> str:
    """A name, where there is one on record."""
    if word == "caller":
        return usage.subject or usage.caller
    if word == "key" and usage.subject not in ("", usage.key):
        return f"{usage.key} ({usage.subject})"
    return str(getattr(usage, word))


def _object(usage: pb.Usage, by: tuple[str, ...]) -> Object:
    told: Object = {word: getattr(usage, word) for word in dict.fromkeys(by)}
    if "caller" in told or "key" in told:
        told["subject"] = usage.subject or None
    return {
        **told,
        "requests": usage.requests,
        "limited": usage.limited,
        "held": usage.held,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "tokens": usage.tokens,
        "bytes": usage.bytes,
    }


def _limit_row(limit: pb.Limit) -> list[str]:
    is_bytes = limit.what.startswith("recorded_bytes")
    numbers = (limit.limit, limit.used, limit.left)
    room = _room(limit)
    return [
        limit.of,
        f"{limit.name} of {', '.join(limit.models)}" if limit.models else limit.name,
        limit.what,
        *(_size(number) if is_bytes else str(number) for number in numbers),
        "" if room is None else f"{room} s",
    ]


def _limit_object(limit: pb.Limit) -> Object:
    return {
        "of": limit.of,
        "id": limit.id,
        "name": limit.name,
        "models": list(limit.models),
        "limit": limit.what,
        "most": limit.limit,
        "used": limit.used,
        "left": limit.left,
        "room_in": _room(limit),
    }


def _room(limit: pb.Limit) -> int | None:
    """Whole seconds, never too few."""
    return math.ceil(limit.room_in.ToNanoseconds() / 1e9) if limit.HasField("room_in") else None


def _size(number: int) -> str:
    size, unit = float(number), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{number} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
