"""Who voted, claimed or commented: by the rows, and where these cannot be read by their entries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, select, true

from authz_service.audit.draft import BY_REVIEWERS
from authz_service.errors import Unavailable
from authz_service.store.damage import DAMAGE, reading
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries, grant_acts, hold_acts, votes
from authz_service.store.sealing import Pseudonym
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader

SAID = (votes, hold_acts, grant_acts)
"""What people say of holds, and of grants that are made from them."""

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whoever said what some rows have, with what their columns `voter` and `account` hold.

    `identities` are the person and the account, `names` their pseudonyms: None where nothing tells whose
    these are. `damaged` says which row cannot be read; what is known of its speaker is from its entry then.
    """

    voter: Any
    account: Any
    identities: tuple[Identity, ...]
    names: frozenset[str] | None
    damaged: str = ""

    def is_any_of(self, subjects: frozenset[str]) -> bool:
        """Whether this is, or may be, somebody with one of these pseudonyms."""
        return self.names is None or not subjects.isdisjoint(self.names)


def speakers(
    reader: Reader, pseudonym: Pseudonym, table: Table, which: ColumnElement[bool] | None = None
) -> Iterator[Speaker]:
    """Those of these rows of one of `SAID`, each once, but for each damaged row."""
    chosen = true() if which is None else which
    for row in reader.read(select(table.c.voter, table.c.account).where(chosen).distinct()).all():
        try:
            pair = _identity(row.voter), _identity(row.account)
        except DAMAGE:
            same = (table.c.voter == row.voter) & (table.c.account == row.account)
            columns = table.c.seq, table.c.hold, table.c.voter, table.c.account
            for damaged in reader.read(select(*columns).where(chosen, same).order_by(table.c.seq)).all():
                yield _by_entry(reader, pseudonym, damaged)
        else:
            yield Speaker(row.voter, row.account, pair, frozenset(map(pseudonym, pair)))


def _identity(stored: Any) -> Identity:
    """Issuer and subject, as a column or a payload has them."""
    issuer, subject = json.loads(stored) if isinstance(stored, str) else stored
    if not (isinstance(issuer, str) and isinstance(subject, str)):
        raise TypeError("an identity is two texts")
    return issuer, subject


def _by_entry(reader: Reader, pseudonym: Pseudonym, row: Row[Any]) -> Speaker:
    """By the entry that the row is of: its pseudonym, and the names in its payload where that is there."""
    what = f"who said what entry {row.seq} has"
    nobody = Speaker(row.voter, row.account, (), None, what)
    stored = reader.read(select(*SOUND).where(entries.c.seq == row.seq)).one_or_none()
    entry = sound(stored) if stored is not None and stored.body else None
    if entry is None or entry.kind not in BY_REVIEWERS or entry.data.get("hold") != row.hold:
        return nobody
    ref = entry.payloads.get("voter")
    try:
        opened = {} if ref is None else read_payloads(reader, {ref.digest})
        told = [json.loads(payload.body) for payload in opened.values()]
        with reading(what):
            pairs = tuple(_identity(one[name]) for one in told for name in ("voter", "account"))
    except (Unavailable, ValueError):
        return nobody
    names = frozenset({str(entry.data["voter"]), *map(pseudonym, pairs)})
    return Speaker(row.voter, row.account, pairs, names, what)
