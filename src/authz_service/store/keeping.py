"""Legal holds: what nobody and no policy may take from the record until they are lifted."""

from __future__ import annotations

import json
from collections.abc import Sequence

import structlog
from sqlalchemy import select

from authz_service.audit.columns import clean
from authz_service.audit.draft import Data, EntryDraft, Kind
from authz_service.audit.entry import decode
from authz_service.audit.forgotten import SESSION, Forgotten, Keep
from authz_service.core.forgetting import Kept, Order
from authz_service.errors import NotFound
from authz_service.store.bulk_rows import require_bytes
from authz_service.store.damage import DAMAGE
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.payload_rows import shown_payloads
from authz_service.store.purging import ordered
from authz_service.store.schema import entries, sessions
from authz_service.store.transaction import Reader, Transaction

log = structlog.get_logger(__name__)


def place(
    transaction: Transaction, keep_id: str, *, session: str | None, subject: str | None, order: Order
) -> Keep:
    """See `ForgettingStore.keep`."""
    if (session is None) == (subject is None):
        raise ValueError("a legal hold is on a session or on a subject")
    if session is not None:
        found = transaction.read(select(sessions.c.id).where(sessions.c.id == clean(session))).scalar()
        if found is None:
            raise NotFound("there is no such session", code="session_not_found")
    data: Data = {"keep": keep_id, "session": session, "subject": subject}
    draft = EntryDraft(Kind.RECORD_KEPT, SESSION, data)
    recorded = transaction.record(ordered(transaction, draft, order))
    return Keep(keep_id, recorded.last, transaction.now, session, subject)


def lift(transaction: Transaction, keep_id: str, order: Order, known: Forgotten) -> None:
    """See `ForgettingStore.lift`; `known` is what entries said of retention before."""
    if keep_id not in read_forgotten(transaction, known).keeps:
        raise NotFound("there is no such legal hold in force", code="keep_not_found")
    data: Data = {"keep": keep_id}
    transaction.record(ordered(transaction, EntryDraft(Kind.RECORD_KEEP_LIFTED, SESSION, data), order))


def in_force(reader: Reader) -> Sequence[Kept]:
    """See `ForgettingStore.keeps`."""
    keeps = read_forgotten(reader).keeps
    return [Kept(keep, order_of(reader, keep.sequence)) for keep in keeps.values()]


def order_of(reader: Reader, sequence: int) -> Order:
    """Who wanted what an entry about retention says, and why; empty where nobody did, or it is damaged."""
    query = select(entries.c.body).where(entries.c.seq == sequence, entries.c.session == SESSION)
    body = reader.read(query).scalar()
    try:
        ref = decode(require_bytes(body)).payloads.get("order") if body else None
        opened = {} if ref is None else shown_payloads(reader, {ref.digest})
        for payload in opened.values():
            told = json.loads(payload or b"")
            return Order(str(told["by"]), str(told["reason"]))
    except DAMAGE:
        log.error("payload.damaged", entry=sequence, payload="order")
    return Order("", "")
