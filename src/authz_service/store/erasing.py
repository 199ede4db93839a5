"""Erasing one person: the order on record, then their keys, then what is left of them, then the tombstone.

The order names the keys, and none of them seals anything new once it is on record. What is cut off stays
ordered, and is completed later. Each step may be done again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Table, delete, select, update

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.audit.entry import decode
from authz_service.audit.forgotten import SESSION, Erasure, is_about_another
from authz_service.core.forgetting import Erased, Order
from authz_service.store.column_texts import identity_text
from authz_service.store.damage import reading
from authz_service.store.erased_names import names_of
from authz_service.store.erasing_kept import identity_of, keys_of, pseudonyms, require_not_kept
from authz_service.store.erasing_open import refuse_open
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.purging import WIPED, forget_holds, ordered
from authz_service.store.schema import (
    entries,
    grant_acts,
    hold_acts,
    payloads,
    sessions,
    votes,
)
from authz_service.store.search_index import forget_reviewer
from authz_service.store.transaction import Reader, Transaction

SESSIONS_AT_ONCE = 50


def order_erasure(transaction: Transaction, subject: str, order: Order) -> Erasure:
    """Put on record what is to go; raises `Conflict` while some of it is kept or in use."""
    others = names_of(transaction, subject).others
    subjects = frozenset({subject, *others})
    require_not_kept(transaction, subjects)
    refuse_open(transaction, subjects)
    keyring = transaction.keyring
    keys = keys_of(keyring, subjects)
    also, named = list[Scalar](sorted(others)), list[Scalar](keys)
    data: Data = {"subject": subject, "also": also, "keys": named}
    draft = EntryDraft(Kind.RECORD_ERASURE_ORDERED, SESSION, data)
    recorded = transaction.record(ordered(transaction, draft, order))
    if keyring is not None:
        # What they say from now on is no part of it, however late these keys are destroyed.
        for name in sorted(subjects):
            keyring.retire(name)
    return Erasure(recorded.last, transaction.now, subject, frozenset(others), keys=frozenset(keys))


def take_sessions(transaction: Transaction, erasure: Erasure, *, after: int) -> tuple[int, int, int]:
    """Take what is left in the next sessions: the number of the last one (0: none), how many, payloads."""
    mine = sessions.c.caller.in_(sorted(erasure.subjects)) & (sessions.c.seq > after)
    old = sessions.c.seq < erasure.ordered
    query = (
        select(sessions.c.id, sessions.c.seq)
        .where(mine & old)
        .order_by(sessions.c.seq)
        .limit(SESSIONS_AT_ONCE)
    )
    rows = transaction.read(query).all()
    if not rows:
        return 0, 0, 0
    names = [row.id for row in rows]
    digests, opened = _theirs(transaction, names, erasure)
    gone = transaction.change(delete(payloads).where(payloads.c.digest.in_(digests))) if digests else 0
    forget_holds(transaction, opened)
    transaction.change(update(sessions).where(sessions.c.id.in_(names)).values(WIPED))
    return rows[-1].seq, len(rows), gone


def _theirs(reader: Reader, names: Sequence[str], erasure: Erasure) -> tuple[list[bytes], list[str]]:
    query = select(entries.c.body).where(entries.c.session.in_(names), entries.c.seq < erasure.ordered)
    digests: list[bytes] = []
    opened: list[str] = []
    for body in reader.read(query).scalars():
        if not body:
            continue
        entry = decode(bytes(body))
        if entry.kind == Kind.HOLD_OPENED.value:
            opened.append(str(entry.data["hold"]))
        about = (ref.digest for name, ref in entry.payloads.items() if not is_about_another(entry.kind, name))
        digests.extend(about)
    return digests, opened


def take_votes(transaction: Transaction, erasure: Erasure) -> tuple[int, int]:
    """Take their name from votes on others' requests, and from API keys: how many votes, and payloads."""
    count, gone = _take_from(transaction, erasure, votes)
    _, of_holds = _take_from(transaction, erasure, hold_acts)
    _, of_grants = _take_from(transaction, erasure, grant_acts)
    return count, gone + of_holds + of_grants


def _take_from(transaction: Transaction, erasure: Erasure, table: Table) -> tuple[int, int]:
    # What they said since is no part of it: a vote that nobody cast any more could be cast a second time.
    said = table.c.seq < erasure.ordered
    pairs = transaction.read(select(table.c.voter, table.c.account).where(said).distinct()).all()
    theirs = [p for p in pairs if erasure.subjects & pseudonyms(transaction, [p])]
    count = gone = 0
    for pair in theirs:
        is_theirs = said & (table.c.voter == pair.voter) & (table.c.account == pair.account)
        for row in transaction.read(select(table.c.seq, table.c.detail).where(is_theirs)).all():
            with reading(f"entry {row.seq}"):
                told = json.loads(row.detail)
                detail, name = json.dumps({**told, "name": ""}), told["name"]
            nobody = _nobody(row.seq)
            wiped = {"voter": nobody, "account": nobody, "detail": detail}
            count += transaction.change(update(table).where(table.c.seq == row.seq).values(wiped))
            names = {identity_of(pair.voter)[1], identity_of(pair.account)[1], name}
            gone += _take_voter(transaction, row.seq, names)
    return count, gone


def _nobody(sequence: int) -> str:
    """Who said what this entry has, once that is nobody's: another for each, or two whose idempotency key was
    the same would be one who used it twice."""
    return identity_text((f"erased:{sequence}", ""))


def _take_voter(transaction: Transaction, sequence: int, names: set[str]) -> int:
    body = transaction.read(select(entries.c.body).where(entries.c.seq == sequence)).scalar()
    ref = decode(bytes(body)).payloads.get("voter") if body else None
    if ref is None:
        return 0
    forget_reviewer(transaction, ref.digest, names)
    return transaction.change(delete(payloads).where(payloads.c.digest == ref.digest))


def _is_under_way(reader: Reader, erasure: Erasure) -> bool:
    known = read_forgotten(reader).erasures
    return any(one.ordered == erasure.ordered and one.done is None for one in known)


def finish(transaction: Transaction, erasure: Erasure, erased: Erased) -> None:
    """The tombstone, unless another process was first."""
    if erasure.done is None and not _is_under_way(transaction, erasure):
        return
    keys: list[Scalar] = [*erased.keys]
    data: Data = {
        "subject": erasure.subject,
        "ordered": erasure.ordered,
        "sessions": erased.sessions,
        "payloads": erased.payloads,
        "votes": erased.votes,
        "keys": keys,
    }
    transaction.record(EntryDraft(Kind.RECORD_ERASED, SESSION, data))
