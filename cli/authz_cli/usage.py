"""`authz usage`: what was used, by whom, and what is left of the limits."""

from __future__ import annotations

from datetime import datetime

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options
from authz_cli.when import When

DIMENSIONS = ("day", "caller", "group", "key", "model")


@click.command("usage", epilog=EXIT_CODES)
@click.option(
    "--by",
    type=click.Choice(DIMENSIONS),
    multiple=True,
    metavar="|".join(DIMENSIONS),
    help="What to tell apart; may be repeated.  [default: caller]",
)
@click.option("--left", "is_left", is_flag=True, help="What is left of each limit now, instead.")
@click.option("--caller", default="", metavar="SUBJECT", help="Of this caller.")
@click.option("--group", default="", help="Of callers in this group.")
@click.option("--key", default="", metavar="ID|NAME", help="With this API key.")
@click.option("--model", default="", help="For this model.")
@click.option(
    "--since", type=When(), metavar="WHEN", help="Begun then or later: 2026-11-21, 7d.  [default: 24h]"
)
@click.option("--until", type=When(), metavar="WHEN", help="Begun before then.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most.")
@json_option
@target_options
def command(
    target: Target,
    by: tuple[str, ...],
    is_left: bool,
    caller: str,
    group: str,
    key: str,
    model: str,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show requests, tokens and bytes by caller, group, API key, model or day; or what is left of each limit.

    For auditors and operators. Without limits in authz.yaml the tokens of models that say nothing of them
    are not known. With --by group a request counts in each group of its caller.

    \b
      authz usage --by day --by model --since 7d
      authz usage --left --caller alice
    """
    from authz_cli.usage_actions import Asked, show_left, show_usage

    if is_left:
        given = {"--by": by, "--group": group, "--model": model, "--since": since, "--until": until}
        foreign = [name for name, value in given.items() if value]
        if foreign:
            raise click.UsageError(f"{foreign[0]} means nothing with --left, which is about now")
        show_left(target, caller=caller, key=key, as_json=as_json)
        return
    asked = Asked(by or ("caller",), caller, group, key, model, since, until, limit)
    show_usage(target, asked, as_json=as_json)
