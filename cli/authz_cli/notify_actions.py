"""What the commands of `authz notify` do at the review API, once they are called."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from authz_api.v1 import notifications_pb2 as pb
from authz_api.v1.notifications_pb2_grpc import NotificationServiceStub
from authz_cli.calls import PATIENCE, Call, calling
from authz_cli.exits import Exit, Failure
from authz_cli.hold_json import Object, time_text
from authz_cli.listed import first_of, pages
from authz_cli.moments import distance
from authz_cli.options import Target
from authz_cli.safe_text import safe_line
from authz_cli.table import table

PAGE = 200
TEST_PATIENCE = 60.0  # seconds, longer than the server waits for a receiver
_STATES = {
    pb.NOTIFICATION_STATE_QUEUED: "queued",
    pb.NOTIFICATION_STATE_DELIVERED: "delivered",
    pb.NOTIFICATION_STATE_GIVEN_UP: "given_up",
}
_ASKED = {word: number for number, word in _STATES.items()}


def show_notifications(
    target: Target, *, receiver: str, hold: str, state: str | None, limit: int, as_json: bool
) -> None:
    """Print how they stand."""
    request = pb.ListNotificationsRequest(
        receiver=receiver,
        hold=hold,
        state=pb.NOTIFICATION_STATE_UNSPECIFIED if state is None else _ASKED[state],
        page_size=min(limit + 1, PAGE),
    )
    with calling(target, NotificationServiceStub) as (api, call):
        found = first_of(_pages(api, call, request), limit)
    if as_json:
        click.echo(json.dumps([_object(notification) for notification in found], indent=2))
    elif not found:
        click.echo("there are no notifications")
    else:
        heads = ["ID", "AT", "RECEIVER", "EVENT", "HOLD OR GRANT", "STATE", "ATTEMPTS", "LAST ERROR"]
        click.echo(table(heads, [_row(notification) for notification in found]))


def retry_notification(target: Target, notification: str, *, as_json: bool) -> None:
    """Have one sent at once."""
    request = pb.RetryNotificationRequest(id=notification)
    with calling(target, NotificationServiceStub) as (api, call):
        found = call(lambda m: api.RetryNotification(request, timeout=PATIENCE, metadata=m)).notification
    if as_json:
        click.echo(json.dumps(_object(found), indent=2))
    else:
        click.echo(safe_line(f"{found.id} is sent to {found.receiver} again; see: authz notify list"))


def test_receiver(target: Target, receiver: str, *, as_json: bool) -> None:
    """Send a test; ends with exit code 1 when the receiver did not take it."""
    request = pb.TestReceiverRequest(receiver=receiver)
    with calling(target, NotificationServiceStub) as (api, call):
        error = call(lambda m: api.TestReceiver(request, timeout=TEST_PATIENCE, metadata=m)).error
    if as_json:
        click.echo(
            json.dumps({"receiver": receiver, "delivered": not error, "error": error or None}, indent=2)
        )
    elif not error:
        click.echo(safe_line(f"{receiver} took it"))
    if error:
        raise Failure(f"{receiver} did not take it: {error}", Exit.REFUSED)


def _pages(
    api: NotificationServiceStub,
    call: Call[pb.ListNotificationsResponse],
    request: pb.ListNotificationsRequest,
) -> Iterator[pb.Notification]:
    for page in pages(
        request, lambda: call(lambda m: api.ListNotifications(request, timeout=PATIENCE, metadata=m))
    ):
        yield from page.notifications


def _row(found: pb.Notification) -> list[str]:
    now = datetime.now(UTC)
    state = _STATES.get(found.state, "unknown")
    if found.state == pb.NOTIFICATION_STATE_QUEUED and found.attempts:
        state += f", again {distance(found.next_attempt_at.ToDatetime(UTC), now=now)}"
    at = distance(found.at.ToDatetime(UTC), now=now)
    return [
        found.id,
        at,
        found.receiver,
        found.event,
        found.grant or found.hold,
        state,
        str(found.attempts),
        found.last_error,
    ]


def _object(found: pb.Notification) -> Object:
    is_queued = found.HasField("next_attempt_at")
    return {
        "id": found.id,
        "at": time_text(found.at),
        "receiver": found.receiver,
        "event": found.event,
        "hold": found.hold,
        "grant": found.grant or None,
        "state": _STATES.get(found.state, "unknown"),
        "attempts": found.attempts,
        "next_attempt_at": time_text(found.next_attempt_at) if is_queued else None,
        "gives_up_at": time_text(found.gives_up_at) if is_queued else None,
        "delivered_at": time_text(found.delivered_at) if found.HasField("delivered_at") else None,
        "last_error": found.last_error or None,
    }
