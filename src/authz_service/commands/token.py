"""`authz token`: a token from the embedded issuer of a data directory."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import click

from authz_service.commands.options import data_dir_option

TTL = re.compile(r"([0-9]{1,6})([smhd]?)\Z")
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
LONGEST_TTL = 86_400


class Ttl(click.ParamType[int]):
    """A time such as 90s, 30m or 12h, in seconds; a second at least, a day at most."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = TTL.match(str(value))
        if match is None:
            self.fail(f"{value!r} is not a time; write 90s, 30m or 12h", param, ctx)
        seconds = int(match[1]) * SECONDS[match[2]]
        if not 1 <= seconds <= LONGEST_TTL:
            self.fail(f"{value!r} is not between 1s and 24h, the longest that is accepted", param, ctx)
        return seconds


@click.command()
@click.option("--subject", required=True, metavar="NAME", help="Whom the token speaks for.")
@click.option("--group", "groups", multiple=True, metavar="G", help="A group of theirs; may be repeated.")
@click.option("--owner", metavar="NAME", help="Who answers for NAME, when that is a service account.")
@click.option(
    "--scope",
    "scope",
    multiple=True,
    metavar="WORD",
    help="What NAME may ask for, with --owner: model:NAME, api:NAME, path:PATH, * for all. May be repeated.",
)
@click.option("--ttl", type=Ttl(), default="1h", show_default=True, help="How long it is good for: 30m, 12h.")
@click.option("--review", is_flag=True, help="For the review API instead of the gateway.")
@click.option(
    "--audience",
    default="authz-review",
    show_default=True,
    help="The review API's, where authz.yaml names one.",
)
@data_dir_option("Where the issuer's key is.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs, with the time of its end.")
def command(
    subject: str,
    groups: tuple[str, ...],
    owner: str | None,
    scope: tuple[str, ...],
    ttl: int,
    review: bool,
    audience: str,
    data_dir: Path,
    as_json: bool,
) -> None:
    """Sign a token with the embedded issuer of this machine's data directory, and print it.

    It is good only where the embedded issuer is in force: a gateway whose authz.yaml lists other
    issuers refuses it. Put it where the application has its API key:

    \b
      export OPENAI_API_KEY=$(authz token --subject alice --group staff)
    """
    # Imported here, so that --help does not wait for the cryptography.
    from authz_service.errors import Misconfigured
    from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
    from authz_service.keys.data_dir import DataDir

    if scope and (owner is None or review):
        raise click.UsageError("--scope is for a service account at the gateway: give --owner, not --review")
    if owner is not None and not review and not scope:
        raise click.UsageError("a service account may ask for what --scope says: add one, such as model:NAME")
    key = DataDir(data_dir.absolute()).issuer_key
    if not key.is_file():
        # Not made here: in a mistyped directory it would be a key that no gateway knows.
        raise Misconfigured(f"{data_dir} has no embedded issuer; run `authz up` first, or name --data-dir")
    issuer = EmbeddedIssuer.load(key)
    for_whom, now = audience if review else GATEWAY_AUDIENCE, time.time()
    try:
        token = issuer.sign(subject, groups, audience=for_whom, ttl=ttl, now=now, owner=owner, scope=scope)
    except ValueError as error:
        raise Misconfigured(f"{error}; give --subject, --group, --owner and --scope other values") from error
    told = {"token": token, "audience": for_whom, "expires_at": int(now) + ttl}
    click.echo(json.dumps(told) if as_json else token)
