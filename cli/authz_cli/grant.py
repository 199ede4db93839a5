"""`authz grant`: the same kind of request goes through for a while."""

from __future__ import annotations

from datetime import datetime

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.grant_options import Filters, Wanted, filter_options
from authz_cli.options import Target, json_option, target_options
from authz_cli.when import Until


@click.group("grant", epilog=EXIT_CODES)
def command() -> None:
    """Let the same kind of request through for a while, list what may pass so, and end it.

    A grant turns a hold into a release, so many times, until a time. It never stands against a deny or a
    mask, and lets nothing through for those who voted for it. A GRANT is an id, or a beginning of one that no
    other grant has.
    """


@command.command("create")
@click.option("--from-hold", "hold", required=True, metavar="HOLD", help="What waits, or was approved.")
@click.option("--uses", required=True, type=click.IntRange(1, 10_000), help="How many requests, at most.")
@click.option(
    "--until", required=True, type=Until(), metavar="TIME", help="Such as 8h, or a time; within 30 days."
)
@click.option("--caller", "is_for_caller", is_flag=True, help="For the hold's caller alone, the default.")
@click.option("--group", default="", metavar="GROUP", help="For all in this group of the hold's caller.")
@click.option("--rule", "rules", multiple=True, help="Only for this rule, of those that hold it.")
@click.option("--model", default="", help="Only this model: the hold's, the default.")
@click.option("--tool", "tools", multiple=True, help="Only with this tool, of those that it offers.")
@click.option("--same-template", is_flag=True, help="Only where nothing but the newest user turn differs.")
@click.option("--reason", default="", help="On record with your vote.")
@click.option("--digest", metavar="SHA256", help="Refuse if the hold's bytes are not these.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal to ask on.")
@json_option
@target_options
def create(
    target: Target,
    hold: str,
    uses: int,
    until: datetime,
    is_for_caller: bool,
    group: str,
    rules: tuple[str, ...],
    model: str,
    tools: tuple[str, ...],
    same_template: bool,
    reason: str,
    digest: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Show a hold and vote for a grant that is made from it.

    It is as narrow as the hold: the same model and API, at most its rules, its tools and its kinds of
    content. With all votes that the hold asks for it is in force, and the hold itself goes through under
    it, if it still waits. Where more votes are needed, the others vote with `authz grant approve`.
    """
    if is_for_caller and group:
        raise click.UsageError("say --caller or --group, not both")
    from authz_cli.grant_actions import propose

    wanted = Wanted(uses, until, group, rules, model, tools, same_template)
    propose(target, hold, wanted, reason=reason, digest=digest, is_sure=yes, as_json=as_json)


@command.command("approve")
@click.argument("grant")
@click.option("--reason", default="", help="On record with your vote.")
@click.option("--digest", metavar="SHA256", help="Refuse if the terms are not these.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal to ask on.")
@json_option
@target_options
def approve(target: Target, grant: str, reason: str, digest: str | None, yes: bool, as_json: bool) -> None:
    """Show the terms of a proposed grant, and vote for these and no others."""
    from authz_cli.grant_actions import approve_one

    approve_one(target, grant, reason=reason, digest=digest, is_sure=yes, as_json=as_json)


@command.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many.")
@click.option("-o", "output", type=click.Choice(["table", "wide"]), default="table", help="More columns.")
@json_option
@target_options
def list_grants(target: Target, filters: Filters, limit: int, output: str, as_json: bool) -> None:
    """Grants, newest first."""
    from authz_cli.grant_actions import show_list

    show_list(target, filters, limit=limit, is_wide=output == "wide", as_json=as_json)


@command.command("show")
@click.argument("grant")
@json_option
@target_options
def show(target: Target, grant: str, as_json: bool) -> None:
    """One grant: its terms, who voted for it, and what it has let through."""
    from authz_cli.grant_actions import show_one

    show_one(target, grant, as_json=as_json)


@command.command("revoke")
@click.argument("grant")
@click.option("--reason", default="", help="On record; with --kill the callers read it.")
@click.option("--kill", is_flag=True, help="End what it has let through and still runs, too.")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked either.")
@json_option
@target_options
def revoke(target: Target, grant: str, reason: str, kill: bool, yes: bool, as_json: bool) -> None:
    """End a grant, or a proposal, now. On a terminal it asks first."""
    if kill and not reason.strip():
        raise click.UsageError("--kill needs a --reason: the callers read it")
    from authz_cli import terminal
    from authz_cli.grant_actions import revoke_one

    # Ending is the safe direction: a script that says so is believed.
    is_sure = yes or as_json or not terminal.is_interactive()
    revoke_one(target, grant, reason=reason, is_to_kill=kill, is_sure=is_sure, as_json=as_json)
