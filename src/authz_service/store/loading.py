"""A row of `holds` with what belongs to it: its votes and the bytes that it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Table, select

from authz_service.audit.columns import clean
from authz_service.core.acts import Act
from authz_service.core.holds import Standing, Vote
from authz_service.core.ports import Hold
from authz_service.errors import NotFound, Unavailable
from authz_service.keys.payload_cipher import Opened
from authz_service.store.hold_rows import read_act, read_hold, read_vote, stands_at
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import hold_acts, holds, votes
from authz_service.store.transaction import Reader

NAMES_AT_ONCE = 400  # SQLite bounds the parameters of a statement


def hold_with_id(reader: Reader, hold_id: str) -> Row[Any]:
    """The row of a hold; raises `NotFound`."""
    row = reader.read(select(holds).where(holds.c.id == clean(hold_id))).one_or_none()
    if row is None:
        raise NotFound("there is no such hold", code="hold_not_found")
    return row


def load_hold(reader: Reader, row: Row[Any]) -> Hold:
    """The hold of a row as it stands now; raises `Unavailable` when its bytes are gone or altered."""
    return load_holds(reader, [row])[0]


def load_holds(reader: Reader, rows: Sequence[Row[Any]]) -> tuple[Hold, ...]:
    """The same of many, with a few queries for all of them."""
    held = read_payloads(reader, {bytes(row.forward) for row in rows})
    acts, cast = _said(reader, hold_acts, rows), _said(reader, votes, rows)
    return tuple(_hold(reader, row, held, acts.get(row.id, ()), cast.get(row.id, ())) for row in rows)


def _hold(
    reader: Reader,
    row: Row[Any],
    held: Mapping[bytes, Opened],
    acts: Sequence[Row[Any]],
    cast: Sequence[Row[Any]],
) -> Hold:
    body = held.get(bytes(row.forward))
    if body is None:
        raise Unavailable(f"the stored bytes of hold {row.id} are gone", code="record_damaged")
    done = [read_act(act) for act in acts]
    return read_hold(row, forward=body.body, votes=_votes(cast, done), acts=done, now=reader.now)


def _said(reader: Reader, table: Table, rows: Sequence[Row[Any]]) -> dict[str, list[Row[Any]]]:
    """What is said of each of these holds in `votes` or `hold_acts`, in order."""
    names = [row.id for row in rows]
    found: dict[str, list[Row[Any]]] = {}
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = table.c.hold.in_(names[start : start + NAMES_AT_ONCE])
        for row in reader.read(select(table).where(some).order_by(table.c.seq)):
            found.setdefault(row.hold, []).append(row)
    return found


def load_votes(reader: Reader, hold_id: str) -> Sequence[Vote]:
    """The votes on a hold, in the order in which they were cast, with what was taken back."""
    query = select(votes).where(votes.c.hold == hold_id).order_by(votes.c.seq)
    return _votes(reader.read(query).all(), load_acts(reader, hold_id))


def load_acts(reader: Reader, hold_id: str) -> Sequence[Act]:
    """What reviewers did to a hold beside voting, in order."""
    query = select(hold_acts).where(hold_acts.c.hold == hold_id).order_by(hold_acts.c.seq)
    return [read_act(row) for row in reader.read(query)]


def standing_of(reader: Reader, row: Row[Any]) -> Standing:
    """Where a hold stands now by the votes on record that are on its own bytes."""
    cast = [vote for vote in load_votes(reader, row.id) if vote.digest == row.digest]
    return stands_at(row, cast, reader.now)


def _votes(cast: Sequence[Row[Any]], acts: Sequence[Act]) -> Sequence[Vote]:
    withdrawn = {vote: act.at for act in acts for vote in act.votes}
    revised = max((act.number for act in acts if act.revised is not None), default=0)
    return [read_vote(row, withdrawn, revised) for row in cast]
