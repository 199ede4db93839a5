"""Whether something of who is to be erased is still in use: an exchange, a hold that waits, or a grant."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, union

from authz_service.audit.draft import Kind
from authz_service.audit.entry import decode
from authz_service.core.acts import Review
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict, Unavailable
from authz_service.store.damage import damaged, reading
from authz_service.store.erasing_kept import pseudonyms
from authz_service.store.grant_queries import in_force
from authz_service.store.hold_rows import requester_of
from authz_service.store.hold_standing import OPEN
from authz_service.store.loading import edited_before, find_hold
from authz_service.store.schema import entries, grant_acts, grants, hold_acts, holds, sessions, votes
from authz_service.store.transaction import Reader, Transaction


def refuse_open(transaction: Transaction, subjects: frozenset[str]) -> None:
    """Raise `Conflict` while any of it is in use."""
    mine = sessions.c.caller.in_(sorted(subjects)) & sessions.c.ended_at.is_(None)
    if transaction.read(select(sessions.c.id).where(mine).limit(1)).first() is not None:
        raise Conflict("an exchange of theirs is still open; wait for its end", code="still_open")
    # Without their name a second vote, or a review of what they decided alone, would pass for another's.
    is_open = holds.c.state.in_([state.value for state in OPEN])
    is_due = holds.c.review == Review.DUE.value
    for row in transaction.read(select(holds).where(is_open | is_due)).all():
        if subjects & _people_of(transaction, row):
            why = "waits with their request or vote; let it end"
            if row.review == Review.DUE.value:
                why = "was decided alone, with their request or vote, and has to be reviewed first"
            raise Conflict(f"hold {row.id} {why}", code="still_held")
    for grant in transaction.read(select(grants).where(in_force(transaction.now))).all():
        query = select(grant_acts.c.voter, grant_acts.c.account).where(grant_acts.c.grant_id == grant.id)
        made_from = transaction.read(select(holds).where(holds.c.id == grant.hold)).one()
        requester = _requester(transaction, made_from)
        if subjects & {*requester, *pseudonyms(transaction, transaction.read(query).all())}:
            message = f"grant {grant.id} is in force with their request or vote; revoke it first"
            raise Conflict(message, code="grant_in_force")


def _people_of(transaction: Transaction, row: Row[Any]) -> set[str]:
    """Who asked for what is held there, and who said anything of it, also before it was edited."""
    try:
        names = [row.id, *edited_before(transaction, row)]
        there = (select(t.c.voter, t.c.account).where(t.c.hold.in_(names)) for t in (votes, hold_acts))
        voted = transaction.read(union(*there)).all()
        with reading(f"hold {row.id}"):
            return {transaction.pseudonym(requester_of(row)), *pseudonyms(transaction, voted)}
    except Unavailable as error:
        if error.code != DAMAGED:
            raise
        return _people_on_record(transaction, row)


def _requester(transaction: Transaction, row: Row[Any]) -> set[str]:
    try:
        with reading(f"hold {row.id}"):
            return {transaction.pseudonym(requester_of(row))}
    except Unavailable:
        return _people_on_record(transaction, row)


def _people_on_record(reader: Reader, row: Row[Any]) -> set[str]:
    """The same by the entries, for a row that is damaged: also of holds before it that nobody edited.

    Raises `Unavailable` (`record_damaged`) where these do not tell either.
    """
    people: set[str] = set()
    hold: Row[Any] | None = row
    seen: set[str] = set()
    while hold is not None and hold.id not in seen:
        seen.add(hold.id)
        query = select(entries.c.body).where(entries.c.session == hold.session)
        with reading(f"hold {row.id}"):
            known = [decode(bytes(body)) for body in reader.read(query).scalars() if body]
            said = [entry for entry in known if entry.data.get("hold") == hold.id]
            people |= {
                str(entry.data[of]) for entry in said for of in ("person", "voter") if of in entry.data
            }
        opened = next((entry for entry in said if entry.kind == Kind.HOLD_OPENED.value), None)
        if opened is None:
            raise damaged(f"hold {row.id}")
        with reading(f"hold {row.id}"):
            previous = opened.data["previous"]
        hold = find_hold(reader, str(previous)) if previous else None
    return people
