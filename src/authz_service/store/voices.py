"""Who is one person among those who vote and act: by their pseudonyms, and those of who owns an account.

Of owners the record has pseudonyms alone: an owner has said nothing, and an erasure finds no name of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from authz_service.core.requesters import Identity, as_typed, identities_of, owners_of
from authz_service.store.transaction import Transaction
from authz_service.view.caller import Caller


@dataclass(frozen=True, slots=True)
class Voice:
    """Somebody, by pseudonyms: `names` are their identities, `owners` those of who owns their account.

    `typed` are what somebody types who names them as an owner. That is compared with owners alone: two people
    of one name at two issuers stay two.
    """

    names: frozenset[str]
    owners: frozenset[str]
    typed: frozenset[str]

    def is_one_with(self, other: Voice) -> bool:
        """Whether both are one person."""
        return not (
            (self.names | self.owners).isdisjoint(other.names | other.owners)
            and self.typed.isdisjoint(other.owners)
            and other.typed.isdisjoint(self.owners)
        )


def voice_of(
    transaction: Transaction, person: Identity, account: Identity, owners: Iterable[Identity] = ()
) -> Voice:
    """Who has this person, this account, and these owners."""
    return _voice(transaction, (person, account), frozenset(map(transaction.pseudonym, owners)))


def voice_of_caller(transaction: Transaction, caller: Caller) -> Voice:
    """Who sends a request."""
    owners = owners_of(caller)
    own = identities_of(caller) - owners
    return _voice(transaction, own, frozenset(map(transaction.pseudonym, owners)))


def voice_said(transaction: Transaction, identities: Iterable[Identity], owners: Iterable[str]) -> Voice:
    """Who said what is stored of somebody with these identities, and owners by pseudonym."""
    return _voice(transaction, identities, frozenset(owners))


def voice_on(transaction: Transaction, row: Row[Any]) -> Voice:
    """Who said what a row of `votes`, `hold_acts` or `grant_acts` has."""
    (issuer, subject), account = json.loads(row.voter), json.loads(row.account)
    owners = json.loads(row.detail).get("owners", ())
    return voice_said(transaction, ((issuer, subject), (account[0], account[1])), owners)


def _voice(transaction: Transaction, identities: Iterable[Identity], owners: frozenset[str]) -> Voice:
    own = tuple(identities)
    names = frozenset(map(transaction.pseudonym, own))
    return Voice(names, owners, frozenset(map(transaction.pseudonym, as_typed(*own))))


def typed_said(transaction: Transaction, *identities: Identity) -> tuple[str, ...]:
    """What is recorded of somebody so that another's owner is known as the same."""
    return tuple(sorted(map(transaction.pseudonym, as_typed(*identities))))


def owners_said(transaction: Transaction, owners: Iterable[Identity]) -> tuple[str, ...]:
    """What is recorded of who owns an account."""
    return tuple(sorted(map(transaction.pseudonym, owners)))
