"""The outbox: claimed by one, settled by whoever claimed it last, given up on record.

A claim is a time until which others leave a row alone; by that and by its number of attempts a settlement is
known to be of the last claim. Writers' transactions never interleave, in any process: nothing is claimed
twice, and no row needs a lock of its own.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf
from typing import Any

import structlog
from sqlalchemy import Row, Select, delete, func, select, update

from authz_service.audit.columns import clean
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.notifications import (
    NOBODY,
    DeliveryState,
    Notification,
    NotificationPage,
    NotificationQuery,
    Queue,
)
from authz_service.errors import Conflict, NotFound
from authz_service.store import paging
from authz_service.store.api_key_rows import by_whom
from authz_service.store.column_texts import micro, seconds
from authz_service.store.damage import DAMAGE
from authz_service.store.schema import holds, outbox
from authz_service.store.transaction import Reader, Transaction

log = structlog.get_logger(__name__)

AT_ONCE = 256
DAMAGED_ROW = "what is stored of it is damaged; run: authz audit verify"
"""The last error of a notification that cannot be read as a whole."""

_QUEUED = outbox.c.state == DeliveryState.QUEUED.value
_OF_THE_HOLD = (holds.c.identity, holds.c.subject, holds.c.rule, holds.c.model, holds.c.session)


def claim(transaction: Transaction, receiver: str, *, most: int, lease: float) -> Sequence[Notification]:
    """See `NotificationStore.claim_notifications`."""
    due = _QUEUED & (outbox.c.receiver == receiver) & (outbox.c.next_at <= transaction.now)
    rows = transaction.read(_rows().where(due).order_by(outbox.c.next_at, outbox.c.seq).limit(most)).all()
    until = transaction.now + micro(lease)
    if rows:
        ids = [row.id for row in rows]
        values = {"attempts": outbox.c.attempts + 1, "next_at": until}
        transaction.change(update(outbox).where(outbox.c.id.in_(ids)).values(values))
    return [_claimed(row, until) for row in rows]


def delivered(transaction: Transaction, notification: Notification) -> bool:
    """See `NotificationStore.delivered`."""
    values = {
        "state": DeliveryState.DELIVERED.value,
        "delivered_at": transaction.now,
        "last_error": "",
    }
    return _settle(transaction, notification, values)


def not_delivered(
    transaction: Transaction, notification: Notification, *, error: str, again_in: float | None
) -> bool:
    """See `NotificationStore.not_delivered`."""
    if again_in is not None:
        values = {"last_error": clean(error), "next_at": transaction.now + micro(again_in)}
        return _settle(transaction, notification, values)
    row = transaction.read(_rows().where(_is_claimed(notification))).one_or_none()
    if row is None:
        return False
    _give_up(transaction, row, clean(error))
    return True


def queues(reader: Reader) -> Sequence[Queue]:
    """See `NotificationStore.queues`."""
    query = (
        select(outbox.c.receiver, func.count(), func.min(outbox.c.at), func.min(outbox.c.next_at))
        .where(_QUEUED)
        .group_by(outbox.c.receiver)
    )
    rows = [tuple(row) for row in reader.read(query)]
    return [Queue(name, n, _time(oldest), _time(due, inf)) for name, n, oldest, due in rows]


def tidy(transaction: Transaction, receivers: Collection[str], *, keep: float) -> int:
    """See `NotificationStore.tidy_notifications`; 256 of both at most."""
    is_lost = _QUEUED & outbox.c.receiver.not_in(list(receivers)) & (outbox.c.give_up_at <= transaction.now)
    lost = transaction.read(_rows().where(is_lost).order_by(outbox.c.seq).limit(AT_ONCE)).all()
    for row in lost:
        _give_up(transaction, row, row.last_error or "no receiver of this name is configured")
    is_old = ~_QUEUED & (outbox.c.at <= transaction.now - micro(keep))
    old = transaction.read(select(outbox.c.id).where(is_old).limit(AT_ONCE)).scalars().all()
    if old:
        transaction.change(delete(outbox).where(outbox.c.id.in_(old)))
    return len(lost) + len(old)


def listed(reader: Reader, query: NotificationQuery) -> NotificationPage:
    """See `NotificationStore.notifications`."""
    state = "" if query.state is None else query.state.value
    filters = ["outbox", query.receiver, query.hold, state]
    statement = _rows()
    for column, wanted in (("receiver", query.receiver), ("hold", query.hold), ("state", state)):
        if wanted:
            statement = statement.where(outbox.c[column] == clean(wanted))
    # The rows of one entry stand together, so a page ends between entries: its last one is never cut.
    before = paging.position(filters, query.page_token)
    if before is not None:
        statement = statement.where(outbox.c.seq < before)
    size = paging.page_size(query.page_size)
    rows = list(reader.read(statement.order_by(outbox.c.seq.desc(), outbox.c.receiver).limit(size + 1)))
    if len(rows) <= size:
        return NotificationPage(tuple(map(_read, rows)))
    last = rows[size].seq
    shown = [row for row in rows[:size] if not isinstance(row.seq, int) or row.seq > last]
    if not shown:  # more receivers than a page has room for
        whole = statement.where(outbox.c.seq == last).order_by(outbox.c.receiver)
        shown = list(reader.read(whole))
    return NotificationPage(tuple(map(_read, shown)), paging.token(filters, shown[-1].seq))


def one(reader: Reader, notification_id: str) -> Notification | None:
    """See `NotificationStore.notification`."""
    row = reader.read(_rows().where(outbox.c.id == clean(notification_id))).one_or_none()
    return None if row is None else _read(row)


def retry(transaction: Transaction, notification_id: str, entry: EntryDraft, *, tries: float) -> None:
    """See `NotificationStore.retry_notification`."""
    row = transaction.read(_rows().where(outbox.c.id == clean(notification_id))).one_or_none()
    if row is None:
        raise NotFound("there is no such notification; see: authz notify list", code="notification_not_found")
    if row.state == DeliveryState.DELIVERED.value:
        raise Conflict("it has been delivered already", code="notification_delivered")
    data = {"notification": row.id, "hold": row.hold, "event": row.event, "receiver": row.receiver}
    told = by_whom(transaction, entry)
    recorded = transaction.record(replace(told, session=row.session, data={**data, **told.data}))
    values = {
        "state": DeliveryState.QUEUED.value,
        "attempts": 0,
        "next_at": transaction.now,
        "give_up_at": transaction.now + micro(tries),
        "changed": recorded.last,
    }
    transaction.change(update(outbox).where(outbox.c.id == row.id).values(values))


def _give_up(transaction: Transaction, row: Row[Any], error: str) -> None:
    data = {
        "notification": row.id,
        "hold": row.hold,
        "event": row.event,
        "receiver": row.receiver,
        "attempts": row.attempts,
        "error": error,
    }
    recorded = transaction.record(EntryDraft(Kind.NOTIFICATION_GIVEN_UP, row.session, data))
    values = {"state": DeliveryState.GIVEN_UP.value, "last_error": error, "changed": recorded.last}
    transaction.change(update(outbox).where(outbox.c.id == row.id).values(values))


def _settle(transaction: Transaction, notification: Notification, values: Mapping[str, Any]) -> bool:
    return transaction.change(update(outbox).where(_is_claimed(notification)).values(values)) == 1


def _is_claimed(notification: Notification) -> Any:
    same = (outbox.c.attempts == notification.attempts) & (outbox.c.next_at == micro(notification.next_at))
    return (outbox.c.id == notification.id) & _QUEUED & same


def _rows() -> Select[Any]:
    return select(outbox, *_OF_THE_HOLD).join(holds, holds.c.id == outbox.c.hold)


def _claimed(row: Row[Any], until: int) -> Notification:
    found = _read(row)
    if found.last_error == DAMAGED_ROW:
        log.error("notification.damaged", notification=found.id, hold=found.hold, receiver=found.receiver)
    return replace(found, attempts=found.attempts + 1, next_at=seconds(until))


def _read(row: Row[Any]) -> Notification:
    try:
        return _whole(row)
    except DAMAGE:
        return _as_far_as_known(row)


def _whole(row: Row[Any]) -> Notification:
    issuer, subject = identity = _identity_of(row)
    return Notification(
        id=row.id,
        seq=operator.index(row.seq),
        receiver=row.receiver,
        hold=row.hold,
        event=row.event,
        at=seconds(row.at),
        deadline=None if row.deadline is None else seconds(row.deadline),
        state=DeliveryState(row.state),
        attempts=operator.index(row.attempts),
        next_at=seconds(row.next_at),
        give_up_at=seconds(row.give_up_at),
        delivered_at=None if row.delivered_at is None else seconds(row.delivered_at),
        last_error=row.last_error,
        identity=identity,
        name=subject if issuer == "person" else row.subject,
        rule=row.rule,
        model=row.model,
        grant=row.grant_id or "",
    )


def _as_far_as_known(row: Row[Any]) -> Notification:
    """What is left of a damaged one, which keeps no other from being told, or listed.

    It is sent with what is left: times of 1970 are none. It is tried once more at most where nobody can tell
    for how long it is to be.
    """
    state = row.state if row.state in list(DeliveryState) else DeliveryState.GIVEN_UP
    return Notification(
        id=str(row.id),
        seq=_number(row.seq),
        receiver=str(row.receiver),
        hold=str(row.hold),
        event=str(row.event),
        at=_time(row.at),
        deadline=None,
        state=DeliveryState(state),
        attempts=_number(row.attempts),
        next_at=_time(row.next_at),
        give_up_at=_time(row.give_up_at),
        delivered_at=None,
        last_error=DAMAGED_ROW,
        identity=_identity_of(row),
        name=str(row.subject),
        rule=str(row.rule),
        model=str(row.model),
        grant=str(row.grant_id or ""),
    )


def _number(stored: Any) -> int:
    return stored if isinstance(stored, int) else 0


def _time(stored: Any, otherwise: float = 0.0) -> float:
    """A time of a row in seconds; SQLite keeps values of any type, and what is no number is `otherwise`."""
    return seconds(stored) if isinstance(stored, int) else otherwise


def _identity_of(row: Row[Any]) -> tuple[str, str]:
    """Whose hold it is; of a damaged one nobody's, and it keeps no other from being told of."""
    with suppress(*DAMAGE):
        issuer, subject = json.loads(row.identity)
        return str(issuer), str(subject)
    return NOBODY
