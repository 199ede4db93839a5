"""`authz session`: the record of exchanges."""

from __future__ import annotations

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options

DECISIONS = ("allow", "hold", "deny")


@click.group("session", epilog=EXIT_CODES)
def command() -> None:
    """Read the record of exchanges; for auditors.

    A SESSION is an id, or a beginning of one that no other session has. Each answer through the gateway
    carries it in its header x-authz-session.
    """


@command.command("list")
@click.option("--caller", default="", metavar="SUBJECT", help="Of this caller.")
@click.option("--model", default="", help="For this model.")
@click.option("--decision", default="", type=click.Choice(("", *DECISIONS)), metavar="|".join(DECISIONS))
@click.option("--status", default="", help="With this status: open, held, released, refused, ...")
@click.option("--rule", default="", help="Decided by this rule.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
@json_option
@target_options
def list_sessions(
    target: Target,
    caller: str,
    model: str,
    decision: str,
    status: str,
    rule: str,
    limit: int,
    as_json: bool,
) -> None:
    """Sessions, newest first."""
    from authz_api.v1 import sessions_pb2
    from authz_cli.session_actions import show_list

    request = sessions_pb2.ListSessionsRequest(
        caller=caller, model=model, decision=decision, status=status, rule=rule
    )
    show_list(target, request, limit=limit, as_json=as_json)


@command.command("show")
@click.argument("session")
@json_option
@target_options
def show(target: Target, session: str, as_json: bool) -> None:
    """One session: who asked, what was decided, and the bodies as they crossed. Your reading is recorded."""
    from authz_cli.session_actions import show_one

    show_one(target, session, as_json=as_json)
