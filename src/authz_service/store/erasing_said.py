"""Takes one person's name from votes on others' requests, and from what else they said of these."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Table, delete, select, update

from authz_service.audit.forgotten import Erasure, Forgotten
from authz_service.store.column_texts import identity_text
from authz_service.store.damage import damaged, reading
from authz_service.store.forgotten_rows import is_purged, read_forgotten
from authz_service.store.schema import entries, holds, payloads, votes
from authz_service.store.sealing import Pseudonym
from authz_service.store.search_index import forget_names, forget_reviewer
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.speakers import SAID, Speaker, speakers
from authz_service.store.transaction import Reader, Transaction


@dataclass(frozen=True, slots=True)
class SaidRow:
    """A row of `table` that one of their accounts wrote."""

    table: Table
    seq: int
    speaker: Speaker


@dataclass(slots=True)
class Said:
    """All that they said before the erasure; `damaged` are rows that cannot be read, others' by entries."""

    rows: list[SaidRow] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


@dataclass(slots=True)
class VotesTaken:
    """How many votes, and payloads; `damaged` are entries of theirs that cannot be read."""

    votes: int = 0
    payloads: int = 0
    damaged: list[str] = field(default_factory=list)


def said_by(reader: Reader, pseudonym: Pseudonym, erasure: Erasure) -> Said:
    """What is to be taken from: read once, while nobody waits for it.

    Raises `Unavailable` (`record_damaged`) for a row that cannot be read, and is, or may be, of theirs.
    """
    found = Said()
    for table in SAID:
        # What they said since is no part of it: a vote that nobody cast any more could be cast a second time.
        said = table.c.seq < erasure.ordered
        known = list(speakers(reader, pseudonym, table, said))
        found.damaged += [one.damaged for one in known if one.damaged]
        for speaker in known:
            if not speaker.is_any_of(erasure.subjects):
                continue
            if speaker.damaged:
                raise damaged(speaker.damaged)
            is_theirs = said & (table.c.voter == speaker.voter) & (table.c.account == speaker.account)
            query = select(table.c.seq, table.c.detail).where(is_theirs).order_by(table.c.seq)
            for row in reader.read(query).all():
                _told(row.seq, row.detail)
                found.rows.append(SaidRow(table, row.seq, speaker))
    return found


def take_votes(transaction: Transaction, rows: Sequence[SaidRow], known: Forgotten) -> VotesTaken:
    """Take their name from these; one that it was taken from already is passed.

    `known` is what entries that were committed before said of retention.

    Raises `Unavailable` (`record_damaged`) for an entry that cannot be read where payloads lie in clear.
    """
    taken = VotesTaken()
    for said in rows:
        table, speaker = said.table, said.speaker
        is_theirs = (table.c.voter == speaker.voter) & (table.c.account == speaker.account)
        row = (table.c.seq == said.seq) & is_theirs
        detail = transaction.read(select(table.c.detail).where(row)).scalar()
        if detail is None:
            continue
        told = _told(said.seq, detail)
        nobody = _nobody(said.seq)
        wiped = {"voter": nobody, "account": nobody, "detail": json.dumps({**told, "name": ""})}
        count = transaction.change(update(table).where(row).values(wiped))
        taken.votes += count if table is votes else 0
        names = {told["name"], *(text for _, text in speaker.identities)}
        _take_voter(transaction, said, names, taken, known)
    return taken


def _told(sequence: int, detail: Any) -> dict[str, Any]:
    with reading(f"entry {sequence}"):
        told: dict[str, Any] = json.loads(detail)
        told["name"]  # there has to be one
    return told


def _nobody(sequence: int) -> str:
    """Who said what this entry has, once that is nobody's: another for each, or two whose idempotency key was
    the same would be one who used it twice."""
    return identity_text((f"erased:{sequence}", ""))


def _take_voter(
    transaction: Transaction, said: SaidRow, names: set[str], taken: VotesTaken, known: Forgotten
) -> None:
    """Take the payload that names them, and what they are found by.

    Of an entry that cannot be read its payload is not known, and lost with its key.
    """
    sequence = said.seq
    row = transaction.read(select(*SOUND).where(entries.c.seq == sequence)).one_or_none()
    if row is not None and not row.body and is_purged(row, read_forgotten(transaction, known)):
        return
    entry = None if row is None else sound(row)
    if entry is None:
        if transaction.keyring is None:
            raise damaged(f"entry {sequence}")
        taken.damaged.append(f"entry {sequence}")
        for session in _sessions_of(transaction, said, row):
            forget_names(transaction, session, names)
        return
    ref = entry.payloads.get("voter")
    if ref is not None:
        forget_reviewer(transaction, ref.digest, names)
        taken.payloads += transaction.change(delete(payloads).where(payloads.c.digest == ref.digest))


def _sessions_of(transaction: Transaction, said: SaidRow, row: Row[Any] | None) -> set[str]:
    """Where a search may find them by what they said: by the hold's row, and by the entry's, which may say
    something else."""
    of_hold = select(holds.c.session).join(said.table, said.table.c.hold == holds.c.id)
    found = set(transaction.read(of_hold.where(said.table.c.seq == said.seq)).scalars())
    return {session for session in (*found, row and row.session) if isinstance(session, str)}
