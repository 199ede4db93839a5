"""What entries put into the outbox: a row for each receiver that is to be told."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from authz_service.audit.draft import EntryDraft
from authz_service.audit.entry import microseconds
from authz_service.core.notifications import DeliveryState, Wanted, event_of


@dataclass(slots=True)
class Outbox:
    """Whom this process queues notifications for; replaced as a whole when the configuration is."""

    wanted: Wanted = field(default_factory=Wanted)


def queued(drafts: Sequence[EntryDraft], first: int, now: int, wanted: Wanted) -> list[dict[str, Any]]:
    """The rows for entries that are recorded at `now`, numbered from `first`."""
    return [
        _row(draft, event, sequence, receiver, now, wanted)
        for sequence, draft in enumerate(drafts, first)
        if (receivers := wanted.receivers.get(draft.kind)) and (event := event_of(draft.kind, draft.data))
        for receiver in receivers
    ]


def _row(
    draft: EntryDraft, event: str, sequence: int, receiver: str, now: int, wanted: Wanted
) -> dict[str, Any]:
    return {
        "id": f"ntf_{uuid.uuid4().hex}",
        "seq": sequence,
        "receiver": receiver,
        "hold": draft.data["hold"],
        "grant_id": draft.data.get("grant"),
        "event": event,
        "at": now,
        "deadline": deadline_of(draft.data.get("deadline")),
        "state": DeliveryState.QUEUED.value,
        "attempts": 0,
        "next_at": now,
        "give_up_at": now + round(wanted.give_up_after * 1_000_000),
        "delivered_at": None,
        "last_error": "",
        "changed": None,
    }


def deadline_of(said: object) -> int | None:
    """The deadline that an entry says, in microseconds; None for an entry that has none."""
    return microseconds(said) if isinstance(said, str) else None
