"""`authz hold`: requests that wait for people."""

from __future__ import annotations

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options

STATES = ("pending", "approved", "released", "rejected", "expired", "superseded", "killed")
OPEN = ("pending", "approved")


@click.group("hold", epilog=EXIT_CODES)
def command() -> None:
    """List, read, approve and reject requests that wait.

    A HOLD is an id, or a beginning of one that no other hold has. Times are shown in your time zone.
    """


@command.command("list")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Of these states.")
@click.option("--all-states", is_flag=True, help="Of any state; without it, those that are open.")
@click.option("--caller", default="", metavar="SUBJECT", help="Of this caller.")
@click.option("--model", default="", help="For this model.")
@click.option("--rule", default="", help="Held by this rule.")
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many.")
@json_option
@target_options
def list_holds(
    target: Target,
    states: tuple[str, ...],
    all_states: bool,
    caller: str,
    model: str,
    rule: str,
    limit: int,
    as_json: bool,
) -> None:
    """Holds, newest first."""
    if states and all_states:
        raise click.UsageError("say --state or --all-states, not both")
    wanted = () if all_states else states or OPEN
    from authz_cli.hold_actions import Filters, show_list

    show_list(target, Filters(wanted, caller, model, rule), limit=limit, as_json=as_json)


@command.command("show")
@click.argument("hold")
@json_option
@target_options
def show(target: Target, hold: str, as_json: bool) -> None:
    """One hold: the whole request as it would go to the model, who asks, why it waits, and until when."""
    from authz_cli.hold_actions import show_one

    show_one(target, hold, as_json=as_json)


@command.command("watch")
@click.option("--count", type=click.IntRange(min=1), default=None, help="End after so many lines.")
@json_option
@target_options
def watch(target: Target, count: int | None, as_json: bool) -> None:
    """What is open, then every change as it happens; Ctrl-C ends it. With --json, one object in a line.

    A server that went away is called again until it answers, and no change is missed.
    """
    from authz_cli.hold_watch import show_changes

    show_changes(target, count=count, as_json=as_json)


@command.command("approve")
@click.argument("hold")
@click.option("--reason", default="", help="On record with your vote.")
@click.option("--digest", metavar="SHA256", help="Refuse if the bytes are not these.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal to ask on.")
@json_option
@target_options
def approve(target: Target, hold: str, reason: str, digest: str | None, yes: bool, as_json: bool) -> None:
    """Show a hold and vote for it.

    The vote names the bytes that were shown by their digest: if they change before it arrives, it is
    refused. What goes to the model is those bytes and no others, at most once.
    """
    from authz_cli.hold_actions import Decision, decide

    decide(target, hold, Decision("approve", reason, digest, is_sure=yes), as_json=as_json)


@command.command("reject")
@click.argument("hold")
@click.option("--reason", required=True, help="The caller reads it.")
@click.option("--digest", metavar="SHA256", help="Refuse if the bytes are not these.")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked either.")
@json_option
@target_options
def reject(target: Target, hold: str, reason: str, digest: str | None, yes: bool, as_json: bool) -> None:
    """Vote against a hold, which ends it.

    On a terminal it shows the hold and asks first.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs words: the caller reads them")
    from authz_cli import terminal
    from authz_cli.hold_actions import Decision, decide

    # Rejecting is the safe direction: a script that says so is believed.
    is_sure = yes or as_json or not terminal.is_interactive()
    decide(target, hold, Decision("reject", reason, digest, is_sure=is_sure), as_json=as_json)
