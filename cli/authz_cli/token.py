"""`authz token`: a token of one's login, tokens of the embedded issuer, and withdrawing those of any."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import TextIO

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options

SIGN = "authz_service.commands.token"
LARGEST_TOKEN = 64 * 1024
_SIGNED = ("--subject", "--group", "--owner", "--scope", "--ttl", "--review", "--audience", "--data-dir")
"""What only `sign` takes."""


class TokenGroup(click.Group):
    """Without the name of a command: `get`, which SDKs' helpers call, or with --subject `sign`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the one that is meant where no command is named."""
        if not args or (args[0] not in self.list_commands(ctx) and args[0] not in ("-h", "--help")):
            is_signed = any(word.partition("=")[0] in _SIGNED for word in args)
            args = ["sign" if is_signed else "get", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Those of this file, and the one that is imported when it is called."""
        return sorted([*super().list_commands(ctx), "sign"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """`sign` is a local command, of the service's own package."""
        if cmd_name != "sign":
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(SIGN).command
        assert isinstance(command, click.Command)
        return command


class Moment(click.ParamType[datetime]):
    """A time of RFC 3339 or ISO 8601; without a zone it is UTC."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time; write 2026-12-31 or 2026-12-31T18:00Z", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@click.group("token", cls=TokenGroup, epilog=EXIT_CODES)
def command() -> None:
    """Print your token for the gateway, sign tokens with the embedded issuer, and withdraw those of any.

    Without a command: `get`, your own by `authz login --gateway`; with --subject `sign`, anybody's by the
    embedded issuer.

    \b
      export OPENAI_API_KEY=$(authz token)
      export OPENAI_API_KEY=$(authz token --subject alice --group staff)
    """


@command.command("get")
@click.option(
    "--server", metavar="ADDRESS", help="Of which login, where there are several (authz auth status)."
)
@json_option
def get(server: str | None, as_json: bool) -> None:
    """Print a token of your login for the gateway, renewed if need be, and nothing else.

    For helpers that are called for a key: of an SDK, an editor, an agent. With --json also when it ends.
    """
    from authz_cli.token_helper import print_token

    print_token(server, as_json=as_json)


_ISSUER = click.option("--issuer", default="", metavar="URL", help="May be left out where there is only one.")
_TOKEN = click.option("--jti", default="", metavar="ID", help="The one token with this id (its claim `jti`).")
_SUBJECT = click.option("--subject", default="", metavar="NAME", help="All tokens of this subject (`sub`).")
_REASON = click.option("--reason", required=True, metavar="TEXT", help="Goes on record.")


@command.command("revoke")
@_ISSUER
@_TOKEN
@_SUBJECT
@click.option(
    "--token-file",
    type=click.File("r", errors="replace"),
    metavar="FILE",
    help="The token itself, - for standard input: its issuer and id are read from it.",
)
@click.option(
    "--until",
    type=Moment(),
    metavar="TIME",
    help="Else a token for 30 days, which none outlives, and a subject until it is restored.",
)
@_REASON
@json_option
@target_options
def revoke(
    target: Target,
    issuer: str,
    jti: str,
    subject: str,
    token_file: TextIO | None,
    until: datetime | None,
    reason: str,
    as_json: bool,
) -> None:
    """Withdraw tokens: refused from now on, by every replica, held requests among them. For operators."""
    from authz_cli.token_actions import named_in, revoke_tokens, which

    if token_file is not None and not (issuer or jti or subject):
        revoked = named_in(token_file.read(LARGEST_TOKEN))
    elif token_file is None:
        revoked = which(issuer, jti, subject)
    else:
        raise click.UsageError("--token-file says whose by itself")
    revoke_tokens(target, revoked, until=until, reason=reason, as_json=as_json)


@command.command("restore")
@_ISSUER
@_TOKEN
@_SUBJECT
@_REASON
@target_options
def restore(target: Target, issuer: str, jti: str, subject: str, reason: str) -> None:
    """Take withdrawn tokens again."""
    from authz_cli.token_actions import restore_tokens, which

    restore_tokens(target, which(issuer, jti, subject), reason=reason)


@command.command("revoked")
@json_option
@target_options
def revoked(target: Target, as_json: bool) -> None:
    """List what is withdrawn."""
    from authz_cli.token_actions import show_revoked

    show_revoked(target, as_json=as_json)
