"""`authz key`: make, rotate, revoke and list the gateway's own API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options

_SPAN = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Span(click.ParamType[timedelta]):
    """A time such as 30m, 24h or 90d; 0 for none."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        span = span_of(str(value))
        if span is None:
            self.fail(f"{value!r} is not a time; write 30m, 24h or 7d", param, ctx)
        return span


class Expiry(click.ParamType[datetime]):
    """A time from now such as 90d, or a moment of RFC 3339; without a zone it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        span = span_of(str(value))
        if span is not None:
            return datetime.now(UTC) + span
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time; write 90d, or 2026-12-31", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def span_of(text: str) -> timedelta | None:
    """`90d` as a span; None for what is none."""
    if text == "0":
        return timedelta()
    match = _SPAN.fullmatch(text)
    return None if match is None else timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


@click.group("key", epilog=EXIT_CODES)
def command() -> None:
    """Make, rotate, revoke and list API keys, for applications that can hold nothing but a fixed string.

    For operators (review.operators in authz.yaml). A key is shown once; the gateway keeps a keyed hash.
    """


_EXPIRES = click.option(
    "--expires", type=Expiry(), metavar="TIME", help="90d, 12h or 2026-12-31; at most 366 days from now."
)
_KEY = click.argument("key", metavar="ID|NAME")


@command.command("create")
@click.option(
    "--owner", required=True, metavar="NAME", help="Who answers for it: cannot vote on what it asks."
)
@click.option(
    "--model",
    "models",
    required=True,
    multiple=True,
    metavar="M",
    help="A model that it may ask; * for all. May be repeated.",
)
@click.option("--group", "groups", multiple=True, metavar="G", help="A group for the rules; may be repeated.")
@click.option(
    "--api",
    "apis",
    multiple=True,
    metavar="API",
    help="Only by this model API, such as openai_chat, or a --path; may be repeated.",
)
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Only at this path, or by an --api; of a model API, or listed in authz.yaml. May be repeated.",
)
@click.option(
    "--tokens-per-day",
    type=click.IntRange(1, 10**12 - 1),
    metavar="N",
    help="No more tokens in any 24 hours, beside what the limits allow.",
)
@click.option("--name", default="", metavar="NAME", help="The caller's name for rules and records, for ever.")
@_EXPIRES
@json_option
@target_options
def create(
    target: Target,
    owner: str,
    models: tuple[str, ...],
    groups: tuple[str, ...],
    apis: tuple[str, ...],
    paths: tuple[str, ...],
    tokens_per_day: int | None,
    name: str,
    expires: datetime | None,
    as_json: bool,
) -> None:
    """Make a key and print it, once. Without --expires it is good for 90 days.

    The rules judge what it asks as anybody's; its scope only narrows that. Put it where the application has
    its API key:

    \b
      export OPENAI_API_KEY=$(authz key create --owner alice --group staff --model llama)
    """
    from authz_api.v1.keys_pb2 import CreateKeyRequest
    from authz_cli.key_actions import create_key

    request = CreateKeyRequest(
        owner=owner,
        name=name,
        groups=groups,
        models=models,
        apis=apis,
        paths=paths,
        tokens_per_day=tokens_per_day or 0,
    )
    if expires is not None:
        request.expires_at.FromDatetime(expires)
    create_key(target, request, as_json=as_json)


@command.command("rotate")
@_KEY
@click.option(
    "--overlap",
    type=Span(),
    default="24h",
    show_default=True,
    metavar="TIME",
    help="How long the old key goes on: 30m, 24h, 7d; 0 ends it now.",
)
@_EXPIRES
@json_option
@target_options
def rotate(target: Target, key: str, overlap: timedelta, expires: datetime | None, as_json: bool) -> None:
    """Make a key that takes another's place, and print it, once.

    It has the same name, owner, groups and scope. Without --expires it lives as long as the old one was made
    for.
    """
    from authz_api.v1.keys_pb2 import RotateKeyRequest
    from authz_cli.key_actions import rotate_key

    request = RotateKeyRequest(key=key)
    request.overlap.FromTimedelta(overlap)
    if expires is not None:
        request.expires_at.FromDatetime(expires)
    rotate_key(target, request, as_json=as_json)


@command.command("revoke")
@_KEY
@click.option("--reason", required=True, metavar="TEXT", help="Goes on record.")
@json_option
@target_options
def revoke(target: Target, key: str, reason: str, as_json: bool) -> None:
    """End a key now, on every replica; requests that it has waiting are not released."""
    from authz_cli.key_actions import revoke_key

    revoke_key(target, key, reason=reason, as_json=as_json)


@command.command("list")
@click.option("--owner", default="", metavar="NAME", help="Only this person's.")
@click.option("--all", "has_ended", is_flag=True, help="Revoked and expired ones too.")
@json_option
@target_options
def list_(target: Target, owner: str, has_ended: bool, as_json: bool) -> None:
    """List keys, newest first, with their last use; never the keys themselves."""
    from authz_cli.key_actions import show_keys

    show_keys(target, owner=owner, has_ended=has_ended, as_json=as_json)
