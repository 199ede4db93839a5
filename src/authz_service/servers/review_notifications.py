"""The NotificationService of authz.v1: operators see how deliveries stand, and have them tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from authz_api.v1 import notifications_pb2 as pb
from authz_api.v1.notifications_pb2_grpc import NotificationServiceServicer
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.notifications import (
    DeliveryState,
    Notification,
    NotificationQuery,
    NotificationStore,
)
from authz_service.errors import NotFound
from authz_service.notify.channel import Channel, NotDelivered
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_messages import timestamp
from authz_service.view.caller import Caller

_STATES: Final = {
    DeliveryState.QUEUED: pb.NOTIFICATION_STATE_QUEUED,
    DeliveryState.DELIVERED: pb.NOTIFICATION_STATE_DELIVERED,
    DeliveryState.GIVEN_UP: pb.NOTIFICATION_STATE_GIVEN_UP,
}
_ASKED: Final = {number: state for state, number in _STATES.items()}


class Deliverer(Protocol):
    """What delivers: the receivers in force, for how many seconds each delivery is tried."""

    @property
    def receivers(self) -> Mapping[str, Channel]: ...

    @property
    def give_up_after(self) -> float: ...

    async def test(self, name: str) -> None:
        """Send a notice that is about nothing; raises `NotDelivered`."""
        ...


@dataclass(frozen=True, slots=True)
class NotificationReview(NotificationServiceServicer):
    """Over the outbox, and what empties it."""

    store: NotificationStore
    calls: Calls
    deliverer: Deliverer

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        """By filter, newest first."""
        async with answering(context):
            await self._operator(context)
            page = await self.store.notifications(
                NotificationQuery(
                    receiver=request.receiver,
                    hold=request.hold,
                    state=_ASKED.get(request.state),
                    page_size=request.page_size or 50,
                    page_token=request.page_token,
                )
            )
            return pb.ListNotificationsResponse(
                notifications=map(_message, page.items), next_page_token=page.next_page_token
            )

    async def RetryNotification(
        self, request: pb.RetryNotificationRequest, context: Context
    ) -> pb.RetryNotificationResponse:
        """Have one tried at once."""
        async with answering(context):
            person = await self._operator(context)
            entry = EntryDraft(
                Kind.NOTIFICATION_RETRIED,
                payloads={"operator": caller_payload(person)},
                subjects={"operator": person.identity},
            )
            tries = self.deliverer.give_up_after
            await self.store.retry_notification(request.id, entry, tries=tries)
            found = await self.store.notification(request.id)
            return pb.RetryNotificationResponse(notification=None if found is None else _message(found))

    async def TestReceiver(
        self, request: pb.TestReceiverRequest, context: Context
    ) -> pb.TestReceiverResponse:
        """Send a test, and wait for what becomes of it."""
        async with answering(context):
            await self._operator(context)
            if request.receiver not in self.deliverer.receivers:
                known = ", ".join(sorted(self.deliverer.receivers)) or "none: see notify in authz.yaml"
                raise NotFound(
                    f"there is no receiver {request.receiver!r}; there are {known}",
                    code="receiver_not_found",
                )
            try:
                await self.deliverer.test(request.receiver)
            except NotDelivered as error:
                return pb.TestReceiverResponse(error=str(error))
            return pb.TestReceiverResponse()

    async def _operator(self, context: Context) -> Caller:
        standing = await self.calls.standing(context)
        standing.require_notifier()
        return standing.person


def _message(found: Notification) -> pb.Notification:
    message = pb.Notification(
        id=found.id,
        receiver=found.receiver,
        hold=found.hold,
        event=found.event,
        at=timestamp(found.at),
        state=_STATES[found.state],
        attempts=found.attempts,
        last_error=found.last_error,
        grant=found.grant,
    )
    if found.state is DeliveryState.QUEUED:
        message.next_attempt_at.CopyFrom(timestamp(found.next_at))
        message.gives_up_at.CopyFrom(timestamp(found.give_up_at))
    if found.delivered_at is not None:
        message.delivered_at.CopyFrom(timestamp(found.delivered_at))
    return message
