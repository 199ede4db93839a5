"""What tests of the outbox share: who is told, what is queued and claimed, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import create_engine, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.config.notify_values import NotifiedWebhook, Notify, Secret
from authz_service.core.notifications import Notification
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

DAY = 86_400.0
KEY = LogKey.create("example.com/log")
RETRIED = EntryDraft(Kind.NOTIFICATION_RETRIED, payloads={"operator": b"{}"})


def told(*hooks: tuple[str, tuple[str, ...]], give_up_after: float = 600.0) -> Any:
    """Who is told of which events."""
    webhooks = tuple(NotifiedWebhook(n, "https://x.example", Secret(), events) for n, events in hooks)
    return Notify(webhooks, give_up_after=give_up_after).wanted


ALL = told(("chat", NotifiedWebhook("", "", Secret()).events), ("pager", ("break_glass",)))


async def opened(store: Any, make: Any, **more: Any) -> Any:
    found = await store.open_hold(make.hold(**more), HoldLimits())
    assert isinstance(found, Opened)
    return found.hold


async def claimed(store: Any, receiver: str = "chat", *, most: int = 8) -> Sequence[Notification]:
    found: Sequence[Notification] = await store.claim_notifications(receiver, most=most, lease=60.0)
    return found


def events(found: Sequence[Notification]) -> list[str]:
    return [notification.event for notification in found]


def wrong(place: Any) -> list[tuple[str, str]]:
    with reading(place.url) as reader:
        return [(w.record, w.what) for w in verify_store(reader, keys=[KEY.vkey], kept=()).wrong]


def change(place: Any, statement: str) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount
    engine.dispose()
