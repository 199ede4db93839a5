"""Whether a legal hold keeps something of who is to be erased: theirs, or what they have a part in."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence, Set
from typing import Any

from sqlalchemy import Select, select, union

from authz_service.audit.entry import decode
from authz_service.audit.forgotten import Keep
from authz_service.errors import Conflict
from authz_service.store.damage import reading
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.kept_people import KeptPeople
from authz_service.store.keyring import Keyring
from authz_service.store.purge_batches import AT_ONCE
from authz_service.store.schema import entries, grant_acts, hold_acts, holds, payloads, sessions, votes
from authz_service.store.transaction import Reader, Transaction

SAID = (votes, hold_acts, grant_acts)
"""What people say of holds, and of grants that are made from them."""


def require_not_kept(transaction: Transaction, subjects: frozenset[str]) -> None:
    """Raise `Conflict` while a legal hold is on anything that these have a part in."""
    keeps = tuple(read_forgotten(transaction).keeps.values())
    beside = _kept_beside(transaction, keeps, subjects)
    kept = [
        keep.id
        for keep in keeps
        if keep.id in beside
        or _is_of(transaction, keep, subjects)
        or _has_a_part_in(transaction, _kept_by(keep), subjects)
    ]
    if kept:
        raise Conflict(f"a legal hold is on this: lift {', '.join(kept)} first", code="kept")


def keys_of(keyring: Keyring | None, subjects: Set[str]) -> list[str]:
    """The ids of all keys that open what is on record of these."""
    return [] if keyring is None else sorted(key for name in subjects for key in keyring.held(name))


def pseudonyms(transaction: Transaction, said: Iterable[Any]) -> set[str]:
    """Who said this, and with which accounts: rows with `voter` and `account`."""
    identities = {text for row in said for text in (row.voter, row.account)}
    return {transaction.pseudonym(identity_of(text)) for text in identities}


def identity_of(stored: str) -> tuple[str, str]:
    """Issuer and subject, as a column has them; raises `Unavailable` (`record_damaged`)."""
    with reading("who voted"):
        issuer, subject = json.loads(stored)
        if not (isinstance(issuer, str) and isinstance(subject, str)):
            raise TypeError("an identity is two texts")
    return issuer, subject


def _is_of(reader: Reader, keep: Keep, subjects: frozenset[str]) -> bool:
    if keep.session is None:
        return keep.subject in subjects
    return reader.read(select(sessions.c.caller).where(sessions.c.id == keep.session)).scalar() in subjects


def _kept_by(keep: Keep) -> Select[Any]:
    is_kept = sessions.c.id == keep.session if keep.session is not None else sessions.c.caller == keep.subject
    return select(sessions.c.id).where(is_kept)


def _kept_beside(transaction: Transaction, keeps: Collection[Keep], subjects: frozenset[str]) -> set[str]:
    """The legal holds on people for whom whole sessions of others are kept that these have a part in too."""
    people = {keep.subject for keep in keeps if keep.subject is not None} - subjects
    if not people:
        return set()
    whole = sorted(KeptPeople(transaction, people).sessions_of(_near(transaction, subjects, people)))
    by_person = {name: KeptPeople(transaction, {name}).sessions_of(whole) for name in people if whole}
    held_up = {name for name, some in by_person.items() if _touches(transaction, sorted(some), subjects)}
    return {keep.id for keep in keeps if keep.subject in held_up}


def _near(transaction: Transaction, subjects: frozenset[str], people: Set[str]) -> list[str]:
    """The sessions of `subjects`, and all on which they or these people said anything."""
    own = select(sessions.c.id).where(sessions.c.caller.in_(sorted(subjects)))
    names = set(transaction.read(own).scalars())
    who: dict[tuple[str, str], bool] = {}
    for table in SAID:
        said = select(holds.c.session, table.c.voter, table.c.account).join(table, table.c.hold == holds.c.id)
        for row in transaction.read(said.distinct()).all():
            pair = row.voter, row.account
            if pair not in who:
                who[pair] = not (subjects | people).isdisjoint(pseudonyms(transaction, [row]))
            if who[pair]:
                names.add(row.session)
    return sorted(names)


def _touches(transaction: Transaction, names: Sequence[str], subjects: frozenset[str]) -> bool:
    """Whether any of these sessions is theirs, or they have a part in it."""
    for start in range(0, len(names), AT_ONCE):
        some = select(sessions.c.id).where(sessions.c.id.in_(names[start : start + AT_ONCE]))
        own = some.where(sessions.c.caller.in_(sorted(subjects))).limit(1)
        if transaction.read(own).first() is not None or _has_a_part_in(transaction, some, subjects):
            return True
    return False


def _has_a_part_in(transaction: Transaction, kept: Select[Any], subjects: frozenset[str]) -> bool:
    """Whether a vote of theirs, or their reading of it, is on what somebody else asked for and is kept."""
    there = select(holds.c.id).where(holds.c.session.in_(kept))
    voted = union(*(select(t.c.voter, t.c.account).where(t.c.hold.in_(there)) for t in SAID))
    said = pseudonyms(transaction, transaction.read(voted).all())
    return not subjects.isdisjoint(said) or _is_sealed_for(transaction, kept, subjects)


def _is_sealed_for(transaction: Transaction, kept: Select[Any], subjects: frozenset[str]) -> bool:
    """Whether anything in these sessions could not be opened any more once the subjects' keys are gone."""
    key_ids = keys_of(transaction.keyring, subjects)
    if not key_ids:
        return False
    bodies = transaction.read(select(entries.c.body).where(entries.c.session.in_(kept))).scalars().all()
    digests = [ref.digest for body in bodies if body for ref in decode(bytes(body)).payloads.values()]
    for start in range(0, len(digests), AT_ONCE):
        some = payloads.c.digest.in_(digests[start : start + AT_ONCE])
        query = select(payloads.c.digest).where(some, payloads.c.key.in_(key_ids)).limit(1)
        if transaction.read(query).first() is not None:
            return True
    return False
