"""A row of `holds` with what belongs to it: its votes and the bytes that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from authz_service.audit.columns import clean
from authz_service.core.acts import Act
from authz_service.core.holds import Standing, Vote
from authz_service.core.ports import Hold
from authz_service.errors import NotFound, Unavailable
from authz_service.store.hold_rows import read_act, read_hold, read_vote, stands_at
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import hold_acts, holds, votes
from authz_service.store.transaction import Reader


def hold_with_id(reader: Reader, hold_id: str) -> Row[Any]:
    """The row of a hold; raises `NotFound`."""
    row = reader.read(select(holds).where(holds.c.id == clean(hold_id))).one_or_none()
    if row is None:
        raise NotFound("there is no such hold", code="hold_not_found")
    return row


def load_hold(reader: Reader, row: Row[Any]) -> Hold:
    """The hold of a row as it stands now; raises `Unavailable` when its bytes are gone or altered."""
    digest = bytes(row.forward)
    held = read_payloads(reader, [digest]).get(digest)
    if held is None:
        raise Unavailable(f"the stored bytes of hold {row.id} are gone", code="record_damaged")
    acts = load_acts(reader, row.id)
    return read_hold(row, forward=held.body, votes=_votes(reader, row.id, acts), acts=acts, now=reader.now)


def load_votes(reader: Reader, hold_id: str) -> Sequence[Vote]:
    """The votes on a hold, in the order in which they were cast, with what was taken back."""
    return _votes(reader, hold_id, load_acts(reader, hold_id))


def load_acts(reader: Reader, hold_id: str) -> Sequence[Act]:
    """What reviewers did to a hold beside voting, in order."""
    query = select(hold_acts).where(hold_acts.c.hold == hold_id).order_by(hold_acts.c.seq)
    return [read_act(row) for row in reader.read(query)]


def standing_of(reader: Reader, row: Row[Any]) -> Standing:
    """Where a hold stands now by the votes on record that are on its own bytes."""
    cast = [vote for vote in load_votes(reader, row.id) if vote.digest == row.digest]
    return stands_at(row, cast, reader.now)


def _votes(reader: Reader, hold_id: str, acts: Sequence[Act]) -> Sequence[Vote]:
    withdrawn = {vote: act.at for act in acts for vote in act.votes}
    query = select(votes).where(votes.c.hold == hold_id).order_by(votes.c.seq)
    return [read_vote(row, withdrawn) for row in reader.read(query)]
