"""Who is one person among those who vote and act: by their pseudonyms, and those of who owns an account.

Of owners the record has pseudonyms alone: an owner has said nothing, and an erasure finds no name of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from authz_service.core.requesters import Identity
from authz_service.store.transaction import Transaction


def names_of(transaction: Transaction, *identities: Identity) -> frozenset[str]:
    """The pseudonyms of somebody's identities, their owners' among them."""
    return frozenset(map(transaction.pseudonym, identities))


def names_on(transaction: Transaction, row: Row[Any]) -> frozenset[str]:
    """Those of whoever said what a row of `votes`, `hold_acts` or `grant_acts` has."""
    (issuer, subject), account = json.loads(row.voter), json.loads(row.account)
    said = names_of(transaction, (issuer, subject), (account[0], account[1]))
    return said.union(json.loads(row.detail).get("owners", ()))


def owners_said(transaction: Transaction, owners: Iterable[Identity]) -> tuple[str, ...]:
    """What is recorded of who owns an account."""
    return tuple(sorted(map(transaction.pseudonym, owners)))
