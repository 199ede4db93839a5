"""`authz session`: the record of exchanges."""

from __future__ import annotations

from typing import Literal

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options
from authz_cli.session_filters import Filters, filter_options


@click.group("session", epilog=EXIT_CODES)
def command() -> None:
    """Read the record of exchanges; for auditors.

    A SESSION is an id, or a beginning of one that no other session has. Each answer through the gateway
    carries it in its header x-authz-session.
    """


@command.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@click.option("-o", "output", type=click.Choice(("table", "wide", "json")), default="table", help="How.")
@json_option
@target_options
def list_sessions(
    target: Target, filters: Filters, limit: int, output: Literal["table", "wide", "json"], as_json: bool
) -> None:
    """Sessions, newest first. A search with --text is put on record."""
    from authz_cli.session_actions import show_list

    show_list(target, filters, limit=limit, output="json" if as_json else output)


@command.command("show")
@click.argument("session")
@click.option(
    "--raw",
    type=click.Choice(("request", "answer")),
    help="Only the bytes of this body, as they crossed; not to a terminal.",
)
@json_option
@target_options
def show(target: Target, session: str, raw: Literal["request", "answer"] | None, as_json: bool) -> None:
    """One session: who asked, who decided what and why, and the bodies as they crossed.

    Your reading is recorded.
    """
    from authz_cli.session_actions import show_one, show_raw

    if raw is not None:
        show_raw(target, session, raw)
    else:
        show_one(target, session, as_json=as_json)
