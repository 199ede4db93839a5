"""What the commands of `authz token` do at the review API, once they are called."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import click

from authz_api.v1 import tokens_pb2 as pb
from authz_api.v1.tokens_pb2_grpc import TokenServiceStub
from authz_cli.calls import PATIENCE, calling
from authz_cli.exits import Exit, Failure
from authz_cli.hold_json import Object, time_text
from authz_cli.moments import moment
from authz_cli.options import Target
from authz_cli.safe_text import safe_line
from authz_cli.table import table


def which(issuer: str, jti: str, subject: str) -> pb.Revoked:
    """The tokens that were named; raises `Failure` unless that was in one way."""
    if bool(jti) == bool(subject):
        raise Failure("name either a token by --jti or somebody by --subject", Exit.USAGE)
    return pb.Revoked(issuer=issuer, jti=jti) if jti else pb.Revoked(issuer=issuer, subject=subject)


def named_in(token: str) -> pb.Revoked:
    """The one token that this is, by what it says of itself; raises `Failure`. It is sent nowhere."""
    segments = token.strip().split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(segments[1] + "=" * (-len(segments[1]) % 4)))
        issuer, jti = claims["iss"], claims.get("jti")
    except (IndexError, KeyError, TypeError, AttributeError, ValueError):
        raise Failure("the file holds no token: a signed JSON Web Token is expected", Exit.USAGE) from None
    if not isinstance(issuer, str) or not isinstance(jti, str) or not jti:
        raise Failure("the token has no id (jti); withdraw all of its --subject", Exit.USAGE)
    return pb.Revoked(issuer=issuer, jti=jti)


def revoke_tokens(
    target: Target, revoked: pb.Revoked, *, until: datetime | None, reason: str, as_json: bool
) -> None:
    """Withdraw, and say until when."""
    request = pb.RevokeTokensRequest(revoked=revoked, reason=reason)
    if until is not None:
        request.until.FromDatetime(until)
    with calling(target, TokenServiceStub) as (api, call):
        answer = call(lambda m: api.RevokeTokens(request, timeout=PATIENCE, metadata=m))
    if as_json:
        click.echo(json.dumps(_object(answer.revocation), indent=2))
    else:
        click.echo(f"withdrawn: {_named(answer.revocation.revoked)}, {_end(answer.revocation)}")


def restore_tokens(target: Target, revoked: pb.Revoked, *, reason: str) -> None:
    """Take them again."""
    request = pb.RestoreTokensRequest(revoked=revoked, reason=reason)
    with calling(target, TokenServiceStub) as (api, call):
        call(lambda m: api.RestoreTokens(request, timeout=PATIENCE, metadata=m))
    click.echo(f"restored: {_named(revoked)}")


def show_revoked(target: Target, *, as_json: bool) -> None:
    """Print what is withdrawn."""
    with calling(target, TokenServiceStub) as (api, call):
        request = pb.ListRevocationsRequest()
        found = call(lambda m: api.ListRevocations(request, timeout=PATIENCE, metadata=m)).revocations
    if as_json:
        click.echo(json.dumps([_object(revocation) for revocation in found], indent=2))
    elif not found:
        click.echo("nothing is withdrawn")
    else:
        rows = [[_named(r.revoked), r.revoked.issuer, _end(r), r.name, r.reason] for r in found]
        click.echo(table(["TOKENS", "ISSUER", "UNTIL", "BY", "REASON"], rows))


def _named(revoked: pb.Revoked) -> str:
    if revoked.WhichOneof("by") == "jti":
        return safe_line(f"the token {revoked.jti}")
    return safe_line(f"all of {revoked.subject}")


def _end(revocation: pb.Revocation) -> str:
    if not revocation.HasField("until"):
        return "until restored"
    return moment(revocation.until.ToDatetime(UTC), now=datetime.now(UTC))


def _object(revocation: pb.Revocation) -> Object:
    return {
        "issuer": revocation.revoked.issuer,
        "jti": revocation.revoked.jti or None,
        "subject": revocation.revoked.subject or None,
        "until": time_text(revocation.until) if revocation.HasField("until") else None,
        "reason": revocation.reason,
        "name": revocation.name,
        "at": time_text(revocation.at),
    }
