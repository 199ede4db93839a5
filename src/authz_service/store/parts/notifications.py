"""The `NotificationStore` of core/notifications over SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from authz_service.audit.draft import EntryDraft
from authz_service.core.notifications import Notification, NotificationPage, NotificationQuery, Queue
from authz_service.store import outbox_rows
from authz_service.store.parts.units import SqlUnits


class SqlNotifications(SqlUnits):
    """What receivers are to be told, and how that went."""

    async def claim_notifications(self, receiver: str, *, most: int, lease: float) -> Sequence[Notification]:
        """See `NotificationStore.claim_notifications`."""
        return await self._writer.run(lambda t: outbox_rows.claim(t, receiver, most=most, lease=lease))

    async def delivered(self, notification: Notification) -> bool:
        """See `NotificationStore.delivered`."""
        return await self._writer.run(lambda t: outbox_rows.delivered(t, notification))

    async def not_delivered(self, notification: Notification, *, error: str, again_in: float | None) -> bool:
        """See `NotificationStore.not_delivered`."""
        return await self._writer.run(
            lambda t: outbox_rows.not_delivered(t, notification, error=error, again_in=again_in)
        )

    async def queues(self) -> Sequence[Queue]:
        """See `NotificationStore.queues`."""
        return await self._read(outbox_rows.queues)

    async def tidy_notifications(self, receivers: Collection[str], *, keep: float) -> int:
        """See `NotificationStore.tidy_notifications`."""
        return await self._writer.run(lambda t: outbox_rows.tidy(t, receivers, keep=keep))

    async def notifications(self, query: NotificationQuery) -> NotificationPage:
        """See `NotificationStore.notifications`."""
        return await self._read(lambda reader: outbox_rows.listed(reader, query))

    async def notification(self, notification_id: str) -> Notification | None:
        """See `NotificationStore.notification`."""
        return await self._read(lambda reader: outbox_rows.one(reader, notification_id))

    async def retry_notification(self, notification_id: str, entry: EntryDraft, *, tries: float) -> None:
        """See `NotificationStore.retry_notification`."""
        await self._writer.run(lambda t: outbox_rows.retry(t, notification_id, entry, tries=tries))
