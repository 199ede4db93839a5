"""By which names the record knows one person: of sessions, of votes, and as the owner of API keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, or_, select

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.core.forgetting import Person
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict, Unavailable
from authz_service.store.damage import DAMAGE, damaged, reading
from authz_service.store.entry_bytes import has_bytes, may_be
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import api_keys, entries, sessions
from authz_service.store.sealing import Pseudonym
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.speakers import SAID, speakers
from authz_service.store.transaction import Reader

_KEY_MADE = (Kind.API_KEY_CREATED, Kind.API_KEY_ROTATED)


@dataclass(slots=True)
class Names:
    """Of one person: `others` are their further pseudonyms, `texts` subjects and persons as they read."""

    others: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)


def people(reader: Reader, pseudonym: Pseudonym, name: str) -> list[Person]:
    """Whom a name may mean: callers by subject, person or pseudonym, reviewers by theirs, and whoever has a
    key by person or pseudonym: who only logged in, or read."""
    wanted = clean(name)
    found: dict[str, Person] = {}
    known = (
        *_callers(reader, wanted),
        *_voters(reader, pseudonym),
        *_with_keys(reader, pseudonym, wanted),
    )
    for known_as, issuer, subject, names in known:
        is_meant = wanted == known_as or wanted in names
        if known_as and is_meant and (known_as not in found or subject):
            found[known_as] = Person(known_as, issuer, subject)
    return [found[known_as] for known_as in sorted(found)]


def names_of(
    reader: Reader, pseudonym: Pseudonym, subject: str, *, known: Names | None = None, after: int = 0
) -> Names:
    """All that the record can tell now of whom this pseudonym names; `known` is what it told `after` ago.

    That is the number of the last entry then, and only what came since is read. Raises `Conflict` while an
    API key of theirs is in force, and `Unavailable` (`record_damaged`) for what may be theirs and is damaged.
    """
    names = Names(set(known.others), set(known.texts)) if known else Names()
    columns = (sessions.c.caller, sessions.c.caller_detail, sessions.c.person)
    own = (sessions.c.caller == subject) & (sessions.c.seq > after)
    for row in reader.read(select(*columns).where(own).distinct()).all():
        if row.caller_detail:
            identity = _identity_of(reader, row)
            names.others.add(pseudonym(identity))
            names.texts |= {identity[1], row.person}
    for table in SAID:
        for speaker in speakers(reader, pseudonym, table, table.c.seq > after):
            if speaker.names is None or (speaker.damaged and subject in speaker.names):
                raise damaged(speaker.damaged)
            if subject in speaker.names:
                names.others |= speaker.names
                names.texts |= {text for _, text in speaker.identities}
    names.others |= _persons(reader, pseudonym, subject, names.texts - {""}, after)
    for row in _owned(reader, subject, names.texts - {""}, after):
        with reading(f"API key {row.id}"):
            is_in_force = row.revoked_at is None and row.expires_at > reader.now
        if is_in_force:
            raise Conflict(
                f"the API key {row.id} is theirs and in force: revoke it first", code="key_in_force"
            )
        if row.name:
            names.others.add(row.name)
    names.others.discard(subject)
    return names


def _persons(reader: Reader, pseudonym: Pseudonym, account: str, texts: set[str], after: int) -> set[str]:
    """The callers whom the sessions of this account name: a person, since the issuer tells of persons."""
    found: set[str] = set()
    columns = (sessions.c.caller, sessions.c.caller_detail)
    named = sessions.c.subject.in_(sorted({clean(text) for text in texts})) & (sessions.c.seq > after)
    for row in reader.read(select(*columns).where(named).distinct()).all() if texts else ():
        if row.caller_detail and pseudonym(_identity_of(reader, row)) == account:
            found.add(row.caller)
    return found


def _identity_of(reader: Reader, row: Row[Any]) -> tuple[str, str]:
    """Issuer and subject of whose sessions these are: by a row, or else by the entry that it begins with."""
    try:
        return _told(row.caller_detail)
    except DAMAGE:
        same = (sessions.c.caller == row.caller) & (sessions.c.caller_detail == row.caller_detail)
        session = reader.read(select(sessions.c.id, sessions.c.seq).where(same).limit(1)).one()
    stored = reader.read(select(*SOUND).where(entries.c.seq == session.seq)).one_or_none()
    entry = sound(stored) if stored is not None and stored.body else None
    ref = None if entry is None or entry.session != session.id else entry.payloads.get("caller")
    opened = {} if ref is None else read_payloads(reader, {ref.digest})
    with reading(f"session {session.id}"):
        (payload,) = opened.values()
        return _told(payload.body)


def _told(stored: str | bytes) -> tuple[str, str]:
    told = json.loads(stored)
    issuer, subject = told["issuer"], told["subject"]
    if not (isinstance(issuer, str) and isinstance(subject, str)):
        raise TypeError("an identity is two texts")
    return issuer, subject


def _owned(reader: Reader, subject: str, texts: set[str], after: int) -> Iterator[Row[Any]]:
    """The API keys of an owner of one of these names, and the one that is the caller itself."""
    is_used = (sessions.c.caller == subject) & sessions.c.key.is_not(None) & (sessions.c.seq > after)
    own = set(reader.read(select(sessions.c.key).where(is_used).distinct()).scalars())
    is_new = (api_keys.c.seq > after) | api_keys.c.id.in_(sorted(own))
    for row in reader.read(select(api_keys).where(is_new)).all():
        if row.id in own or _owner(reader, row) in texts:
            yield row


def _owner(reader: Reader, row: Row[Any]) -> str:
    """Whose key it is by the entry that made it."""
    for number in _may_have_made(reader, row):
        told = _owner_by(reader, row.id, number)
        if told is not None:
            return told
    message = (
        f"what is stored of API key {row.id} is damaged, and nothing tells whose it is: nobody can be erased"
        " until it is as a backup has it; what is wrong says: authz audit verify"
    )
    raise Unavailable(message, code=DAMAGED)


def _may_have_made(reader: Reader, row: Row[Any]) -> Iterator[int]:
    """The number that the row has, and where it is damaged there all those that may be it."""
    if isinstance(row.made, int):
        yield row.made
    made = or_(*(may_be(reader, kind) for kind in _KEY_MADE)) & has_bytes(reader, str(row.id).encode())
    yield from reader.read(select(entries.c.seq).where(made).order_by(entries.c.seq)).scalars()


def _owner_by(reader: Reader, key_id: str, number: int) -> str | None:
    """The same by one entry; "" where that went with whom it is about, None where it cannot be told."""
    stored = reader.read(select(*SOUND).where(entries.c.seq == number)).one_or_none()
    entry = sound(stored) if stored is not None and stored.body else None
    if entry is None or entry.kind not in _KEY_MADE or entry.data.get("key") != key_id:
        return None
    ref = entry.payloads.get("key")
    try:
        opened = [] if ref is None else [*read_payloads(reader, {ref.digest}).values()]
        if not opened:
            return "" if entry.data.get("subject") else None
        return str(json.loads(opened[0].body)["owner"])
    except DAMAGE:
        return None
    except Unavailable as error:
        if error.code != DAMAGED:
            raise
        return None


def _callers(reader: Reader, wanted: str) -> Iterator[tuple[str, str, str, set[str]]]:
    columns = (sessions.c.caller, sessions.c.caller_detail)
    is_named = (sessions.c.subject == wanted) | (sessions.c.person == wanted) | (sessions.c.caller == wanted)
    for row in reader.read(select(*columns).where(is_named).distinct()).all():
        issuer, subject = _identity_of(reader, row) if row.caller_detail else ("", "")
        yield row.caller, issuer, subject, {wanted}


def _voters(reader: Reader, pseudonym: Pseudonym) -> Iterator[tuple[str, str, str, set[str]]]:
    """Those of damaged rows as far as their entries tell."""
    for table in SAID:
        for speaker in speakers(reader, pseudonym, table):
            if speaker.identities:
                voter, account = speaker.identities
                yield pseudonym(voter), account[0], account[1], {voter[1], account[1]} - {""}


def _with_keys(reader: Reader, pseudonym: Pseudonym, wanted: str) -> Iterator[tuple[str, str, str, set[str]]]:
    """Whose payloads are sealed, where all that is known of them is in payloads."""
    if reader.keyring is None:
        return
    persons = {pseudonym(("person", text)) for text in (wanted, wanted.casefold())}
    for known_as in {wanted, *persons}:
        if reader.keyring.held(known_as):
            yield known_as, "", "", {wanted}
