"""What was used once as rows: each is committed with the entry that says for what."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from authz_service.audit.draft import EntryDraft
from authz_service.core.used_once import UNTIL, USED
from authz_service.errors import Conflict
from authz_service.store.schema import used_once
from authz_service.store.transaction import Transaction

SPARE = 300 * 1_000_000
"""Microseconds that a row stays after its time: the clock of whoever refuses what is over may be behind."""


def use_once(transaction: Transaction, entry: EntryDraft) -> None:
    """See `OnceStore.use_once`."""
    used, until = entry.data[USED], entry.data[UNTIL]
    if not isinstance(used, list) or not isinstance(until, int):
        raise ValueError("the entry does not say what it uses, or until when")
    digests = [str(digest) for digest in used]
    if transaction.read(select(used_once.c.digest).where(used_once.c.digest.in_(digests))).first():
        raise Conflict("this was used already", code="already_used")
    transaction.change(delete(used_once).where(used_once.c.until <= transaction.now - SPARE))
    recorded = transaction.record(entry)
    rows = [{"digest": each, "until": until * 1_000_000, "seq": recorded.last} for each in digests]
    transaction.change(insert(used_once), rows)
