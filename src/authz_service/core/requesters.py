"""Four eyes: whether somebody is, or stands behind, whoever sent a request; and who is one person."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from authz_service.view.caller import Caller

Identity = tuple[str, str]

_OWNER: Final = "owner"
"""Stands in the place of an issuer where none is said: keys and certificates name their owner only."""


def is_requester(caller: Caller, *identities: Identity) -> bool:
    """Whether any of these is the caller's person, account or owner."""
    # An owner is named without an issuer: whoever has the name at any is taken for the owner. It was typed by
    # hand: what differs in case, or in the spaces around it, is the same name.
    typed = {_typed(owner) for owner in _owners(caller.claims)}
    if not typed.isdisjoint(_typed(name) for _, name in identities):
        return True
    own = {caller.identity, (caller.issuer, caller.subject), *owners_of(caller)}
    return not own.isdisjoint(identities)


def are_one(one: Caller, other: Caller) -> bool:
    """Whether one of them is, or stands behind, the other, or the same person behind both."""
    return is_requester(one, *identities_of(other)) or is_requester(other, *identities_of(one))


def identities_of(caller: Caller) -> frozenset[Identity]:
    """The caller's person and account, and whoever owns it. Who has one of these in common is one person."""
    return frozenset({caller.identity, (caller.issuer, caller.subject), *owners_of(caller)})


def owners_of(caller: Caller) -> frozenset[Identity]:
    """Who answers for a service account, by every name that they may have elsewhere; empty for people."""
    names = _owners(caller.claims)
    return frozenset(
        identity
        for name in names
        for identity in ((caller.issuer, name), ("person", name), (_OWNER, _typed(name)))
    )


def as_typed(*identities: Identity) -> frozenset[Identity]:
    """What somebody types who names one of these as an owner; see `owners_of`, which has the same."""
    return frozenset((_OWNER, _typed(name)) for _, name in identities if name)


def number_of_owners(caller: Caller) -> int:
    """How many people answer for a service account, as far as their names tell; 0 for people."""
    return len({_typed(name) for name in _owners(caller.claims)})


def _typed(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _owners(claims: Mapping[str, Any]) -> set[str]:
    """Who answers for a service account; an address also as a person's identity has it."""
    named = claims.get("owner")
    names = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
    return {*names, *(name.casefold() for name in names if "@" in name)}
