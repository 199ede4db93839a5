"""What the commands of `authz key` do at the review API, once they are called."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import keys_pb2 as pb
from authz_api.v1.keys_pb2_grpc import KeyServiceStub
from authz_cli.calls import PATIENCE, calling
from authz_cli.hold_json import Object, time_text
from authz_cli.moments import distance, moment
from authz_cli.options import Target
from authz_cli.safe_text import safe_line
from authz_cli.table import table

_NO_KEYS = "this server takes no API keys; see identity.api_keys in its authz.yaml"


def create_key(target: Target, request: pb.CreateKeyRequest, *, as_json: bool) -> None:
    """Make one; the key alone goes to standard output, so that a script can catch it."""
    with calling(target, KeyServiceStub, unimplemented=_NO_KEYS) as (api, call):
        answer = call(lambda m: api.CreateKey(request, timeout=PATIENCE, metadata=m))
    _show_secret(answer.key, answer.secret, {}, as_json=as_json)


def rotate_key(target: Target, request: pb.RotateKeyRequest, *, as_json: bool) -> None:
    """Make one in another's place, and say until when that one counts."""
    with calling(target, KeyServiceStub, unimplemented=_NO_KEYS) as (api, call):
        answer = call(lambda m: api.RotateKey(request, timeout=PATIENCE, metadata=m))
    more: Object = {"replaced_until": time_text(answer.replaced_until)}
    _show_secret(answer.key, answer.secret, more, as_json=as_json)
    if not as_json:
        until = answer.replaced_until.ToDatetime(UTC)
        click.echo(f"{answer.key.replaces} ends {moment(until, now=datetime.now(UTC))}", err=True)


def revoke_key(target: Target, key: str, *, reason: str, as_json: bool) -> None:
    """End one."""
    request = pb.RevokeKeyRequest(key=key, reason=reason)
    with calling(target, KeyServiceStub, unimplemented=_NO_KEYS) as (api, call):
        answer = call(lambda m: api.RevokeKey(request, timeout=PATIENCE, metadata=m))
    if as_json:
        click.echo(json.dumps(_object(answer.key), indent=2))
    else:
        click.echo(f"revoked: {_named(answer.key)}")


def show_keys(target: Target, *, owner: str, has_ended: bool, as_json: bool) -> None:
    """Print what is known of keys."""
    request = pb.ListKeysRequest(owner=owner, include_ended=has_ended)
    with calling(target, KeyServiceStub, unimplemented=_NO_KEYS) as (api, call):
        found = call(lambda m: api.ListKeys(request, timeout=PATIENCE, metadata=m)).keys
    if as_json:
        click.echo(json.dumps([_object(key) for key in found], indent=2))
    elif not found:
        click.echo("there are no API keys" if has_ended else "no API key is in force")
    else:
        heads = ["ID", "NAME", "OWNER", "GROUPS", "SCOPE", "ENDS", "LAST USED"]
        click.echo(table(heads, [_row(key) for key in found]))


def _show_secret(key: pb.Key, secret: str, more: Object, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**_object(key), **more, "secret": secret}, indent=2))
        return
    click.echo(secret)
    until = moment(key.expires_at.ToDatetime(UTC), now=datetime.now(UTC))
    click.echo(f"{_named(key)}, until {until}; it is not shown again", err=True)


def _named(key: pb.Key) -> str:
    return safe_line(key.id if key.name == key.id else f"{key.id} ({key.name})")


def _row(key: pb.Key) -> list[str]:
    now = datetime.now(UTC)
    ends = f"revoked {_distance(key.revoked_at, now)}" if key.HasField("revoked_at") else ""
    used = _distance(key.last_used_at, now) if key.HasField("last_used_at") else "never"
    return [
        key.id,
        "" if key.name == key.id else key.name,
        key.owner,
        " ".join(key.groups),
        " ".join(key.scope),
        ends or ("damaged" if key.is_damaged else _distance(key.expires_at, now)),
        used,
    ]


def _distance(at: Timestamp, now: datetime) -> str:
    return distance(at.ToDatetime(UTC), now=now)


def _object(key: pb.Key) -> Object:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "groups": list(key.groups),
        "scope": list(key.scope),
        "created_at": time_text(key.created_at),
        "created_by": key.created_by,
        "expires_at": time_text(key.expires_at),
        "replaces": key.replaces or None,
        "revoked_at": time_text(key.revoked_at) if key.HasField("revoked_at") else None,
        "revoked_by": key.revoked_by or None,
        "reason": key.reason or None,
        "last_used_at": time_text(key.last_used_at) if key.HasField("last_used_at") else None,
        "is_damaged": key.is_damaged,
    }
