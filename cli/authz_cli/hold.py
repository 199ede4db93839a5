"""`authz hold`: requests that wait for people."""

from __future__ import annotations

from typing import Literal, TextIO

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.hold_options import Chosen, Decision, Filters, decision_options, filter_options
from authz_cli.options import Target, json_option, target_options
from authz_cli.when import Span


@click.group("hold", epilog=EXIT_CODES)
def command() -> None:
    """List, read, decide, edit, answer and discuss requests that wait.

    A HOLD is an id, or a beginning of one that no other hold has. Times are shown in your time zone.
    """


@command.command("list")
@filter_options
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True, help="At most so many.")
@click.option("-o", "output", type=click.Choice(["table", "wide"]), default="table", help="More columns.")
@click.option("--watch", is_flag=True, help="Then every change as it happens, as `authz hold watch`.")
@json_option
@target_options
def list_holds(target: Target, filters: Filters, limit: int, output: str, watch: bool, as_json: bool) -> None:
    """Holds, newest first."""
    if watch:
        from authz_cli.hold_watch import show_changes

        show_changes(target, filters, count=None, as_json=as_json)
        return
    from authz_cli.hold_actions import show_list

    show_list(target, filters, limit=limit, as_json=as_json, is_wide=output == "wide")


@command.command("show")
@click.argument("hold")
@json_option
@target_options
def show(target: Target, hold: str, as_json: bool) -> None:
    """One hold: the whole request as it would go to the model, who asks, why it waits, and until when."""
    from authz_cli.hold_actions import show_one

    show_one(target, hold, as_json=as_json)


@command.command("watch")
@filter_options
@click.option("--count", type=click.IntRange(min=1), default=None, help="End after so many lines.")
@json_option
@target_options
def watch(target: Target, filters: Filters, count: int | None, as_json: bool) -> None:
    """What is open, then every change as it happens; Ctrl-C ends it. With --json, one object in a line.

    A server that went away is called again until it answers, and no change is missed. A hold is told when
    it changes, whatever its state is then; --state narrows that.
    """
    from authz_cli.hold_watch import show_changes

    show_changes(target, filters, count=count, as_json=as_json)


@command.command("wait")
@click.argument("hold")
@click.option(
    "--timeout", type=Span(), default=None, metavar="TIME", help="Such as 90s or 10min; then exit 7."
)
@json_option
@target_options
def wait(target: Target, hold: str, timeout: float | None, as_json: bool) -> None:
    """Wait until a hold is decided: exit 0 when it is approved or released, 1 when it ended otherwise.

    A server that goes away meanwhile is asked again until it answers, or the time is over.
    """
    from authz_cli.hold_wait import wait_for

    wait_for(target, hold, timeout=timeout, as_json=as_json)


@command.command("approve")
@click.argument("holds", nargs=-1, metavar="HOLD...")
@decision_options
@click.option("--reason", default="", help="On record with your vote; whoever asked can read it.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal to ask on.")
@json_option
@target_options
def approve(
    target: Target, holds: tuple[str, ...], chosen: Chosen, reason: str, yes: bool, as_json: bool
) -> None:
    """Show a hold and vote for it; or several, or --all that filters choose, with one question.

    A vote names the bytes that were shown by their digest: if they change before it arrives, it is
    refused. What goes to the model is those bytes and no others, at most once.
    """
    if chosen.break_glass and not reason.strip():
        raise click.UsageError("--break-glass needs a --reason")
    _decide(target, holds, chosen, Decision("approve", reason, chosen.digest, yes), as_json=as_json)


@command.command("reject")
@click.argument("holds", nargs=-1, metavar="HOLD...")
@decision_options
@click.option("--reason", required=True, help="The caller reads it.")
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal nothing is asked either.")
@json_option
@target_options
def reject(
    target: Target, holds: tuple[str, ...], chosen: Chosen, reason: str, yes: bool, as_json: bool
) -> None:
    """Vote against a hold, which ends it; or against several, or --all that filters choose.

    On a terminal it shows them and asks first.
    """
    if not reason.strip():
        raise click.UsageError("--reason needs words: the caller reads them")
    from authz_cli import terminal

    # Rejecting is the safe direction: a script that says so is believed.
    is_sure = yes or as_json or not terminal.is_interactive()
    _decide(target, holds, chosen, Decision("reject", reason, chosen.digest, is_sure), as_json=as_json)


@command.command("withdraw")
@click.argument("hold")
@click.option("--reason", default="", help="On record with it.")
@json_option
@target_options
def withdraw(target: Target, hold: str, reason: str, as_json: bool) -> None:
    """Take your vote back, as long as the request has not been released and the hold has not ended."""
    from authz_cli.hold_acts import act

    act(target, hold, "withdraw", reason, as_json=as_json)


@command.command("claim")
@click.argument("hold")
@click.option("--release", is_flag=True, help="End your claim.")
@json_option
@target_options
def claim(target: Target, hold: str, release: bool, as_json: bool) -> None:
    """Tell the other reviewers that you look at a hold. It binds nobody, and ends by itself."""
    from authz_cli.hold_acts import act

    act(target, hold, "release" if release else "claim", as_json=as_json)


@command.command("comment")
@click.argument("hold")
@click.argument("text")
@json_option
@target_options
def comment(target: Target, hold: str, text: str, as_json: bool) -> None:
    """Write something for the other reviewers; the caller does not see it."""
    from authz_cli.hold_acts import act

    act(target, hold, "comment", text, as_json=as_json)


@command.command("review")
@click.argument("hold")
@click.option("--reason", required=True, help="What your review came to; on record.")
@json_option
@target_options
def review(target: Target, hold: str, reason: str, as_json: bool) -> None:
    """Review a decision that somebody made alone: `authz hold list --to-review` has them."""
    from authz_cli.hold_acts import act

    act(target, hold, "review", reason, as_json=as_json)


@command.command("edit")
@click.argument("hold")
@click.option(
    "--as",
    "form",
    type=click.Choice(["conversation", "json"]),
    default="conversation",
    show_default=True,
    help="What the editor gets: the texts, or JSON: a request's body, an answer's texts by name.",
)
@click.option(
    "--file", type=click.File(encoding="utf-8"), help="What is edited, as that JSON, no editor; - for stdin."
)
@click.option("--reason", default="", help="On record with the edit.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal to ask on.")
@json_option
@target_options
def edit(
    target: Target,
    hold: str,
    form: Literal["conversation", "json"],
    file: TextIO | None,
    reason: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Edit what waits, in $VISUAL or $EDITOR: a request, or the texts of an answer of the model's.

    It shows what has changed, and asks. Placeholders of masked values must stay. The rules judge what was
    edited. All votes before are void, and somebody else than its editor has to approve it.
    """
    from authz_cli.hold_editing import Edit
    from authz_cli.hold_editing import edit as edit_hold

    edit_hold(target, hold, Edit(form, reason, file, is_sure=yes), as_json=as_json)


@command.command("respond")
@click.argument("hold")
@click.option("--file", type=click.File(encoding="utf-8"), help="The answer's text; - for stdin. No editor.")
@click.option("--reason", default="", help="On record with the answer.")
@click.option("--yes", is_flag=True, help="Do not ask; needed when there is no terminal to ask on.")
@json_option
@target_options
def respond(target: Target, hold: str, file: TextIO | None, reason: str, yes: bool, as_json: bool) -> None:
    """Answer a request that waits in the place of the model, which is not asked.

    Where the model has answered, and that waits, yours takes its place. The caller gets it in the form of
    their own API, marked as a person's, once it has the votes that are needed, of others than its writer.
    Rules for answers and masks count for it.
    """
    from authz_cli.hold_editing import respond as respond_to

    respond_to(target, hold, file, reason, is_sure=yes, as_json=as_json)


def _decide(
    target: Target, holds: tuple[str, ...], chosen: Chosen, decision: Decision, *, as_json: bool
) -> None:
    if len(holds) == 1 and not chosen.is_all:
        from authz_cli.hold_actions import decide

        decide(target, holds[0], decision, as_json=as_json, break_glass=chosen.break_glass)
        return
    if not holds and not chosen.is_all:
        raise click.UsageError("name a HOLD, or say --all and which by filters")
    if holds and chosen.is_all:
        raise click.UsageError("name holds or say --all, not both")
    if chosen.digest or chosen.break_glass:
        raise click.UsageError("--digest and --break-glass are for one HOLD")
    from authz_cli.hold_bulk import decide_many

    decide_many(target, holds, chosen.filters, decision, as_json=as_json)
