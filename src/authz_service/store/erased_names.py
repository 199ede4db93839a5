"""By which names the record knows one person: of sessions, of votes, and as the owner of API keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, select, union

from authz_service.audit.columns import clean
from authz_service.core.forgetting import Person
from authz_service.errors import Conflict
from authz_service.store.api_key_rows import read_keys
from authz_service.store.erasing_kept import identity_of
from authz_service.store.schema import api_keys, grant_acts, hold_acts, sessions, votes
from authz_service.store.transaction import Transaction


@dataclass(slots=True)
class Names:
    """Of one person: `others` are their further pseudonyms, `texts` subjects and persons as they read."""

    others: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)


def people(transaction: Transaction, name: str) -> list[Person]:
    """Whom a name may mean: callers by subject, person or pseudonym, reviewers by theirs, and whoever has a
    key by person or pseudonym: who only logged in, or read."""
    wanted = clean(name)
    found: dict[str, Person] = {}
    known = (*_callers(transaction, wanted), *_voters(transaction), *_with_keys(transaction, wanted))
    for pseudonym, issuer, subject, names in known:
        is_meant = wanted == pseudonym or wanted in names
        if pseudonym and is_meant and (pseudonym not in found or subject):
            found[pseudonym] = Person(pseudonym, issuer, subject)
    return [found[pseudonym] for pseudonym in sorted(found)]


def names_of(transaction: Transaction, subject: str) -> Names:
    """All that the record can tell now of whom this pseudonym names."""
    names = Names()
    columns = (sessions.c.caller_detail, sessions.c.person)
    for row in transaction.read(select(*columns).where(sessions.c.caller == subject).distinct()):
        if row.caller_detail:
            told = json.loads(row.caller_detail)
            names.others.add(transaction.pseudonym((told["issuer"], told["subject"])))
            names.texts |= {told["subject"], row.person}
    for row in _ballots(transaction):
        voter, account = identity_of(row.voter), identity_of(row.account)
        if subject in (transaction.pseudonym(voter), transaction.pseudonym(account)):
            names.others |= {transaction.pseudonym(voter), transaction.pseudonym(account)}
            names.texts |= {voter[1], account[1]}
    names.others |= _persons(transaction, subject, names.texts - {""})
    for row in _owned(transaction, subject, names.texts - {""}):
        if row.revoked_at is None and row.expires_at > transaction.now:
            raise Conflict(
                f"the API key {row.id} is theirs and in force: revoke it first", code="key_in_force"
            )
        if row.name:
            names.others.add(row.name)
    names.others.discard(subject)
    return names


def _persons(transaction: Transaction, account: str, texts: set[str]) -> set[str]:
    """The callers whom the sessions of this account name: a person, since the issuer tells of persons."""
    found: set[str] = set()
    columns = (sessions.c.caller, sessions.c.caller_detail)
    named = sessions.c.subject.in_(sorted({clean(text) for text in texts}))
    for row in transaction.read(select(*columns).where(named).distinct()):
        told = json.loads(row.caller_detail) if row.caller_detail else None
        if told is not None and transaction.pseudonym((told["issuer"], told["subject"])) == account:
            found.add(row.caller)
    return found


def _owned(transaction: Transaction, subject: str, texts: set[str]) -> Iterator[Row[Any]]:
    """The API keys of an owner of one of these names, and the one that is the caller itself."""
    used = select(sessions.c.key).where(sessions.c.caller == subject, sessions.c.key.is_not(None)).distinct()
    own = set(transaction.read(used).scalars())
    rows = transaction.read(select(api_keys)).all()
    for row, key in zip(rows, read_keys(transaction, rows), strict=True):
        if key.id in own or key.owner in texts:
            yield row


def _callers(transaction: Transaction, wanted: str) -> Iterator[tuple[str, str, str, set[str]]]:
    columns = (sessions.c.caller, sessions.c.caller_detail)
    is_named = (sessions.c.subject == wanted) | (sessions.c.person == wanted) | (sessions.c.caller == wanted)
    for row in transaction.read(select(*columns).where(is_named).distinct()):
        told = json.loads(row.caller_detail) if row.caller_detail else {"issuer": "", "subject": ""}
        yield row.caller, told["issuer"], told["subject"], {wanted}


def _voters(transaction: Transaction) -> Iterator[tuple[str, str, str, set[str]]]:
    for row in _ballots(transaction):
        voter, account = identity_of(row.voter), identity_of(row.account)
        yield transaction.pseudonym(voter), account[0], account[1], {voter[1], account[1]} - {""}


def _with_keys(transaction: Transaction, wanted: str) -> Iterator[tuple[str, str, str, set[str]]]:
    """Whose payloads are sealed, where all that is known of them is in payloads."""
    if transaction.keyring is None:
        return
    persons = {transaction.pseudonym(("person", text)) for text in (wanted, wanted.casefold())}
    for pseudonym in {wanted, *persons}:
        if transaction.keyring.held(pseudonym):
            yield pseudonym, "", "", {wanted}


def _ballots(transaction: Transaction) -> list[Row[Any]]:
    """Who ever voted, claimed or commented, as whom, and with which account."""
    tables = (votes, hold_acts, grant_acts)
    return list(transaction.read(union(*(select(t.c.voter, t.c.account) for t in tables))).all())
