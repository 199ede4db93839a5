"""Notifications about holds and grants: what is queued for a receiver, and what is asked of the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.stored_holds import HoldState

EVENTS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "opened": Kind.HOLD_OPENED,
        "reminded": Kind.HOLD_REMINDED,
        "escalated": Kind.HOLD_ESCALATED,
        "edited": Kind.HOLD_EDITED,
        "responded": Kind.HOLD_RESPONDED,
        "approved": Kind.HOLD_APPROVED,
        "withdrawn": Kind.HOLD_WITHDRAWN,
        "rejected": Kind.HOLD_REJECTED,
        "expired": Kind.HOLD_EXPIRED,
        "superseded": Kind.HOLD_SUPERSEDED,
        "killed": Kind.HOLD_KILLED,
        "break_glass": Kind.HOLD_BREAK_GLASS,
        "grant_proposed": Kind.GRANT_PROPOSED,
        "grant_created": Kind.GRANT_CREATED,
        "grant_used_up": Kind.GRANT_USED,
        "grant_revoked": Kind.GRANT_REVOKED,
    }
)
"""What receivers can be told of, by the word that the configuration has for it."""

USED_UP: Final = "grant.used_up"


def event_of(kind: str, data: Mapping[str, object]) -> str:
    """The type of the notification that an entry makes, of a kind that `EVENTS` has; "" where it makes none.

    Of a grant's uses only the last is told, and that a vote was taken back only where the hold pends then.
    """
    match kind:
        case Kind.GRANT_USED:
            return USED_UP if data["number"] == data["uses"] else ""
        case Kind.HOLD_WITHDRAWN:
            return str(kind) if data["state"] == HoldState.PENDING else ""
        case _:
            return str(kind)


class DeliveryState(StrEnum):
    """QUEUED: it is, or will be, tried (again)."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which receivers are to be told of what, and for how many seconds each telling is tried."""

    receivers: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)
    give_up_after: float = 86_400.0


NOBODY = ("", "")
"""The identity of whoever sent the request, where what is stored of its hold is damaged."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One event of a hold, or of a grant made from it, on its way to one receiver.

    Times are seconds since the epoch. `event` is what `event_of` says of the entry `seq`, which was recorded
    at `at`; `deadline` is what that said. `grant` is "" for an event of the hold itself.
    `attempts` counts those begun since it was queued, or since somebody had it tried again. `identity` is the
    caller's (issuer, subject), `NOBODY` where that cannot be read; `name` is the person or subject to show.
    """

    id: str
    seq: int
    receiver: str
    hold: str
    event: str
    at: float
    deadline: float | None
    state: DeliveryState
    attempts: int
    next_at: float
    give_up_at: float
    delivered_at: float | None
    last_error: str
    identity: tuple[str, str]
    name: str
    rule: str
    model: str
    grant: str = ""


@dataclass(frozen=True, slots=True)
class NotificationQuery:
    """Filters of a list, newest first; empty means any."""

    receiver: str = ""
    hold: str = ""
    state: DeliveryState | None = None
    page_size: int = 50
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class NotificationPage:
    """One page of a list, and the token of the next one ("" on the last)."""

    items: tuple[Notification, ...]
    next_page_token: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one receiver: how many, since when the oldest, and when the next is due."""

    receiver: str
    queued: int
    oldest_at: float
    next_at: float


class NotificationStore(Protocol):
    """The outbox. Rows come with the entries that they tell of, in the same transaction."""

    async def claim_notifications(self, receiver: str, *, most: int, lease: float) -> Sequence[Notification]:
        """Those that are due, the oldest first: nobody else gets them for `lease` seconds, or ever again
        once they are settled."""
        ...

    async def delivered(self, notification: Notification) -> bool:
        """It has arrived; False when somebody else has claimed it since."""
        ...

    async def not_delivered(self, notification: Notification, *, error: str, again_in: float | None) -> bool:
        """It is tried again after so many seconds, or with None given up, which is an entry.

        False when somebody else has claimed it since.
        """
        ...

    async def queues(self) -> Sequence[Queue]:
        """What waits, for each receiver."""
        ...

    async def tidy_notifications(self, receivers: Collection[str], *, keep: float) -> int:
        """Give up what is overdue for receivers that are not among `receivers`, and delete what ended more
        than `keep` seconds ago; how many of both."""
        ...

    async def notifications(self, query: NotificationQuery) -> NotificationPage:
        """By filter, newest first; raises `Unreadable` for a foreign page token."""
        ...

    async def notification(self, notification_id: str) -> Notification | None:
        """One, by its id."""
        ...

    async def retry_notification(self, notification_id: str, entry: EntryDraft, *, tries: float) -> None:
        """Have one tried at once, and for `tries` seconds more, with `entry`.

        Raises `NotFound`, and `Conflict` when it has been delivered.
        """
        ...

    async def now(self) -> float:
        """The store's clock."""
        ...
