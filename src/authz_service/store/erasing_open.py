"""Whether something of who is to be erased is still in use: an exchange, a hold that waits, or a grant."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Table, select

from authz_service.audit.draft import Kind
from authz_service.core.acts import Review
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict, Unavailable
from authz_service.store.damage import damaged, reading
from authz_service.store.grant_queries import in_force
from authz_service.store.hold_rows import requester_of
from authz_service.store.hold_standing import OPEN
from authz_service.store.loading import edited_before, find_hold
from authz_service.store.purge_batches import AT_ONCE
from authz_service.store.schema import entries, grant_acts, grants, hold_acts, holds, sessions, votes
from authz_service.store.sealing import Pseudonym
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.speakers import SAID, speakers
from authz_service.store.transaction import Reader


def refuse_open(
    reader: Reader, pseudonym: Pseudonym, subjects: frozenset[str], *, since: int | None = None
) -> None:
    """Raise `Conflict` while any of it is in use; nothing of theirs was before the entry `since`.

    Then only what has changed after it is looked at, unless they have said something since: see `has_spoken`.
    """
    if _has_open(reader, subjects) if since is None else _has_opened(reader, subjects, since):
        raise Conflict("an exchange of theirs is still open; wait for its end", code="still_open")
    # Without their name a second vote, or a review of what they decided alone, would pass for another's.
    is_open = holds.c.state.in_([state.value for state in OPEN])
    is_due = holds.c.review == Review.DUE.value
    waiting = select(holds).where(is_open | is_due)
    for row in reader.read(waiting if since is None else waiting.where(holds.c.changed > since)).all():
        if subjects & _people_of(reader, pseudonym, row):
            why = "waits with their request or vote; let it end"
            if row.review == Review.DUE.value:
                why = "was decided alone, with their request or vote, and has to be reviewed first"
            raise Conflict(f"hold {row.id} {why}", code="still_held")
    usable = select(grants).where(in_force(reader.now))
    # One of before that has changed has the people that it had, but for who has said something of it.
    for grant in reader.read(usable if since is None else usable.where(grants.c.seq > since)).all():
        if subjects & _people_of_grant(reader, pseudonym, grant):
            message = f"grant {grant.id} is in force with their request or vote; revoke it first"
            raise Conflict(message, code="grant_in_force")


def has_spoken(reader: Reader, pseudonym: Pseudonym, subjects: frozenset[str], *, since: int) -> bool:
    """Whether they have voted on, or said, anything after the entry `since`, be it of what is older."""
    return any(
        speaker.is_any_of(subjects)
        for table in SAID
        for speaker in speakers(reader, pseudonym, table, table.c.seq > since)
    )


def _has_open(reader: Reader, subjects: frozenset[str]) -> bool:
    mine = sessions.c.caller.in_(sorted(subjects)) & sessions.c.ended_at.is_(None)
    return reader.read(select(sessions.c.id).where(mine).limit(1)).first() is not None


def _has_opened(reader: Reader, subjects: frozenset[str], since: int) -> bool:
    """The same of exchanges that entries after this one are of: by their ids, whatever else is on record."""
    touched = select(entries.c.session).where(entries.c.seq > since, entries.c.session.is_not(None))
    names = sorted(set(reader.read(touched).scalars()))
    for start in range(0, len(names), AT_ONCE):
        some = sessions.c.id.in_(names[start : start + AT_ONCE])
        rows = reader.read(select(sessions.c.caller, sessions.c.ended_at).where(some)).all()
        if any(row.caller in subjects and row.ended_at is None for row in rows):
            return True
    return False


def _people_of(reader: Reader, pseudonym: Pseudonym, row: Row[Any]) -> set[str]:
    """Who asked for what is held there, and who said anything of it, also before it was edited."""
    try:
        names = [row.id, *edited_before(reader, row)]
        with reading(f"hold {row.id}"):
            people = {pseudonym(requester_of(row))}
        for table in (votes, hold_acts):
            people |= _speakers(reader, pseudonym, table, table.c.hold.in_(names), f"hold {row.id}")
        return people
    except Unavailable as error:
        if error.code != DAMAGED:
            raise
        return _people_on_record(reader, row)


def _people_of_grant(reader: Reader, pseudonym: Pseudonym, grant: Row[Any]) -> set[str]:
    """Who asked for what it was made from, and who said anything of it."""
    made_from = find_hold(reader, grant.hold)
    if made_from is None:
        raise damaged(f"grant {grant.id}")
    own = grant_acts.c.grant_id == grant.id
    people = _requester(reader, pseudonym, made_from)
    return people | _speakers(reader, pseudonym, grant_acts, own, f"grant {grant.id}")


def _speakers(
    reader: Reader, pseudonym: Pseudonym, table: Table, which: ColumnElement[bool], what: str
) -> set[str]:
    people: set[str] = set()
    for speaker in speakers(reader, pseudonym, table, which):
        if speaker.names is None:
            raise damaged(what)
        people |= speaker.names
    return people


def _requester(reader: Reader, pseudonym: Pseudonym, row: Row[Any]) -> set[str]:
    try:
        with reading(f"hold {row.id}"):
            return {pseudonym(requester_of(row))}
    except Unavailable:
        return _people_on_record(reader, row)


def _people_on_record(reader: Reader, row: Row[Any]) -> set[str]:
    """The same by the entries, for a row that is damaged: also of holds before it that nobody edited.

    Raises `Unavailable` (`record_damaged`) where these do not tell either.
    """
    people: set[str] = set()
    hold: Row[Any] | None = row
    seen: set[str] = set()
    while hold is not None and hold.id not in seen:
        seen.add(hold.id)
        query = select(*SOUND).where(entries.c.session == hold.session)
        known = [sound(entry) for entry in reader.read(query) if entry.body]
        if None in known:  # it may be theirs
            raise damaged(f"hold {row.id}")
        said = [entry for entry in known if entry is not None and entry.data.get("hold") == hold.id]
        with reading(f"hold {row.id}"):
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
