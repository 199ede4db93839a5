"""`authz notify`: how notifications about holds stand, and having them sent again."""

from __future__ import annotations

import click

from authz_cli.exits import EXIT_CODES
from authz_cli.options import Target, json_option, target_options

STATES = ("queued", "delivered", "given_up")


@click.group("notify", epilog=EXIT_CODES)
def command() -> None:
    """See what receivers were told of holds and grants, send it again, and try a receiver.

    For operators (review.operators in authz.yaml). Receivers stand in its section notify.
    """


@command.command("list")
@click.option("--receiver", default="", metavar="NAME", help="Only to this receiver.")
@click.option(
    "--hold", default="", metavar="ID", help="Only about this hold and its grants, by its whole id."
)
@click.option("--state", type=click.Choice(STATES), default=None, help="Only those that stand so.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most.")
@json_option
@target_options
def list_(target: Target, receiver: str, hold: str, state: str | None, limit: int, as_json: bool) -> None:
    """List notifications, newest first: where to, how it stands, how often it was tried, the last error.

    What has been delivered or given up is listed for two weeks.
    """
    from authz_cli.notify_actions import show_notifications

    show_notifications(target, receiver=receiver, hold=hold, state=state, limit=limit, as_json=as_json)


@command.command("retry")
@click.argument("notification", metavar="ID")
@json_option
@target_options
def retry(target: Target, notification: str, as_json: bool) -> None:
    """Send one at once, whether it was given up or waits for its next attempt. Goes on record."""
    from authz_cli.notify_actions import retry_notification

    retry_notification(target, notification, as_json=as_json)


@command.command("test")
@click.argument("receiver", metavar="NAME")
@json_option
@target_options
def test(target: Target, receiver: str, as_json: bool) -> None:
    """Send a receiver a signed notification of type notify.test, and say what it answers.

    Exit code 1 when it did not take it.
    """
    from authz_cli.notify_actions import test_receiver

    test_receiver(target, receiver, as_json=as_json)
