"""A row of `holds` with what belongs to it: its votes, what reviewers did, and the bytes that it holds."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, Select, Table, bindparam, select

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.entry import decode
from authz_service.core.acts import Act
from authz_service.core.holds import Standing, Vote
from authz_service.core.ports import DAMAGED
from authz_service.core.stored_holds import Hold, HoldState, HoldSummary
from authz_service.errors import NotFound, Unavailable
from authz_service.framing.headers import MARKS
from authz_service.store.column_texts import identity_text, key_text
from authz_service.store.damage import reading
from authz_service.store.declared_types import LATEST, require_declared
from authz_service.store.hold_rows import bytes_held, payload_held, read_summary, with_bytes
from authz_service.store.hold_standing import stands_at
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries, hold_acts, holds, votes
from authz_service.store.transaction import Reader
from authz_service.store.vote_rows import read_act, read_vote

NAMES_AT_ONCE = 400  # SQLite bounds the parameters of a statement


def _said_of_one(table: Table) -> Select[Any]:
    return select(table).where(table.c.hold == bindparam("hold")).order_by(table.c.seq)


# Made once: to make a statement takes longer than the database takes for it.
_HOLD = select(holds).where(holds.c.id == bindparam("hold"))
_VOTES = _said_of_one(votes)
_ACTS = _said_of_one(hold_acts)


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a hold: the rows of its votes, and of what reviewers did beside voting, in order."""

    rows: Sequence[Row[Any]] = ()
    done: Sequence[Row[Any]] = ()

    @property
    def acts(self) -> list[Act]:
        """What reviewers did beside voting."""
        return [read_act(row) for row in self.done]

    @property
    def votes(self) -> list[Vote]:
        """The votes, with what was taken back and what is void."""
        acts = self.acts
        withdrawn = {vote: act.at for act in acts for vote in act.votes}
        revised = max((act.number for act in acts if act.revised is not None), default=0)
        return [read_vote(row, withdrawn, revised) for row in self.rows]

    def standing(self, row: Row[Any], now: int) -> Standing:
        """Where the hold of `row` stands by the votes on its own bytes."""
        return stands_at(row, votes_on(row, self.votes), now)


def votes_on(row: Row[Any], cast: Iterable[Vote]) -> list[Vote]:
    """Those that are on the hold's own bytes."""
    return [vote for vote in cast if vote.digest == row.digest]


def find_hold(reader: Reader, hold_id: str) -> Row[Any] | None:
    """The row of a hold; None where there is no such hold."""
    return reader.read_beside(_HOLD, {"hold": clean(hold_id)}).one_or_none()


def hold_with_id(reader: Reader, hold_id: str) -> Row[Any]:
    """The row of a hold; raises `NotFound`."""
    row = find_hold(reader, hold_id)
    if row is None:
        raise no_such_hold()
    return row


def no_such_hold() -> NotFound:
    """What is said of a hold that there is not."""
    return NotFound("there is no such hold", code="hold_not_found")


def said_of(reader: Reader, hold_id: str) -> Said:
    """What is on record about one hold."""
    cast = reader.read_beside(_VOTES, {"hold": hold_id}).all()
    return Said(cast, reader.read_beside(_ACTS, {"hold": hold_id}).all())


def said_of_all(reader: Reader, rows: Collection[Row[Any]]) -> Mapping[str, Said]:
    """The same of several holds, by their ids, with a few queries for all of them."""
    if len(rows) == 1:
        return {row.id: said_of(reader, row.id) for row in rows}
    names = [row.id for row in rows]
    acts, cast = _by_hold(reader, hold_acts, names), _by_hold(reader, votes, names)
    return {row.id: Said(cast.get(row.id, ()), acts.get(row.id, ())) for row in rows}


def summary_of(reader: Reader, row: Row[Any], said: Said | None = None) -> HoldSummary:
    """The hold of a row as it stands now; `said` where that was read already.

    Raises `Unavailable` (`record_damaged`) where what is stored of it cannot be read.
    """
    with reading(f"hold {row.id}"):
        found = _summary(reader, row, said)
        if found.state is HoldState.SUPERSEDED:
            return replace(found, superseded_by=superseded_by(reader, row))
        return found


def require_readable(reader: Reader, row: Row[Any]) -> None:
    """Raise as `summary_of`, without looking for what took the hold's place."""
    with reading(f"hold {row.id}"):
        _summary(reader, row, None)


def _summary(reader: Reader, row: Row[Any], said: Said | None) -> HoldSummary:
    if not all(0 <= at < LATEST for at in (row.created_at, row.begun_at, row.deadline)):
        raise ValueError("this is no time that could be told")
    said = said_of(reader, row.id) if said is None else said
    bytes_held(row)  # whatever is done to a hold names them
    found = read_summary(row, votes=said.votes, acts=said.acts, now=reader.now)
    require_declared(found)
    return found


def superseded_by(reader: Reader, row: Row[Any]) -> str:
    """What the entry says by which a hold was superseded; "" where that has lost its bytes.

    It is the last one of the hold's, unless somebody commented on it afterwards.
    """
    last = select(entries.c.body).where(entries.c.seq == row.changed)
    others = select(entries.c.body).where(entries.c.session == row.session).order_by(entries.c.seq)
    for query in (last, others):
        for body in reader.read(query).scalars().all():
            entry = decode(bytes(body)) if body else None
            if entry is not None and (entry.kind, entry.data.get("hold")) == (Kind.HOLD_SUPERSEDED, row.id):
                return str(entry.data["by"])
    return ""


def load_summaries(reader: Reader, rows: Sequence[Row[Any]]) -> list[HoldSummary | Unavailable]:
    """The same of many, with a few queries for all of them; in the place of a damaged one the refusal."""
    said = said_of_all(reader, rows)
    return [_summary_or_why_not(reader, row, said[row.id]) for row in rows]


def _summary_or_why_not(reader: Reader, row: Row[Any], said: Said) -> HoldSummary | Unavailable:
    try:
        return summary_of(reader, row, said)
    except Unavailable as damage:
        return damage


def load_holds(reader: Reader, rows: Sequence[Row[Any]]) -> list[Hold]:
    """With their bytes; raises `Unavailable` when these are gone or altered."""
    held = read_payloads(reader, {payload_held(row) for row in rows})
    found = []
    for row, summary in zip(rows, load_summaries(reader, rows), strict=True):
        if isinstance(summary, Unavailable):
            raise summary
        opened = held.get(payload_held(row))
        if opened is None:
            raise Unavailable(f"the stored bytes of hold {row.id} are gone", code=DAMAGED)
        found.append(with_bytes(summary, opened.body))
    return found


def rows_of(reader: Reader, names: Collection[str]) -> list[Row[Any]]:
    """The rows of the holds of these ids that there are."""
    if len(names) == 1:
        row = find_hold(reader, *names)
        return [] if row is None else [row]
    wanted = [clean(name) for name in names]
    found: list[Row[Any]] = []
    for start in range(0, len(wanted), NAMES_AT_ONCE):
        some = holds.c.id.in_(wanted[start : start + NAMES_AT_ONCE])
        found += reader.read_beside(select(holds).where(some)).all()
    return found


def _by_hold(reader: Reader, table: Table, names: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """What is said of each of these holds in `votes` or `hold_acts`, in order."""
    found: dict[str, list[Row[Any]]] = {}
    for start in range(0, len(names), NAMES_AT_ONCE):
        some = table.c.hold.in_(names[start : start + NAMES_AT_ONCE])
        for row in reader.read_beside(select(table).where(some).order_by(table.c.seq)):
            found.setdefault(row.hold, []).append(row)
    return found


def load_acts(reader: Reader, hold_id: str) -> Sequence[Act]:
    """What reviewers did to a hold beside voting, in order."""
    with reading(f"hold {hold_id}"):
        return [read_act(row) for row in reader.read_beside(_ACTS, {"hold": hold_id})]


def edited_before(reader: Reader, row: Row[Any]) -> list[str]:
    """The holds that this one came after, where an edited answer, which its head says, is held anew."""
    found: list[str] = []
    with reading(f"hold {row.id}"):
        detail = json.loads(row.detail)
        while MARKS & detail.get("answer", {}).get("headers", {}).keys() and detail["previous"]:
            before = find_hold(reader, detail["previous"])
            if before is None or before.id in found:
                raise ValueError("the holds before this one cannot be followed")
            found.append(before.id)
            detail = json.loads(before.detail)
    return found


def is_revised(reader: Reader, hold_id: str) -> bool:
    """Whether a reviewer has edited or answered what waits there."""
    return any(act.revised is not None for act in load_acts(reader, hold_id))


def find_act(reader: Reader, hold_id: str, person: tuple[str, str], key: str) -> Row[Any] | None:
    """The row of what this person did to the hold with an idempotency key."""
    same = (
        (hold_acts.c.hold == clean(hold_id))
        & (hold_acts.c.voter == identity_text(person))
        & (hold_acts.c.idempotency_key == key_text(key))
    )
    return reader.read_beside(select(hold_acts).where(same)).one_or_none()


def standing_of(reader: Reader, row: Row[Any]) -> Standing:
    """Where a hold stands now by the votes on record that are on its own bytes.

    Raises `Unavailable` (`record_damaged`) where these, or the hold, cannot be read.
    """
    with reading(f"hold {row.id}"):
        return said_of(reader, row.id).standing(row, reader.now)
