"""Four eyes: whether somebody is, or stands behind, whoever sent a request."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from authz_service.view.caller import API_KEYS, CERTIFICATES, Caller

Identity = tuple[str, str]


def is_requester(caller: Caller, *identities: Identity) -> bool:
    """Whether any of these is the caller's person, account or owner."""
    own = {caller.identity, (caller.issuer, caller.subject)}
    owners = _owners(caller.claims)
    # Keys and certificates say no issuer of their owner's: whoever has the name at any of them is taken for
    # the owner. It was typed by hand: what differs in case, or in the spaces around it, is the same name.
    typed = {_typed(owner) for owner in owners}
    if caller.issuer in (API_KEYS, CERTIFICATES) and not typed.isdisjoint(
        _typed(name) for _, name in identities
    ):
        return True
    for owner in owners:
        own |= {(caller.issuer, owner), ("person", owner)}
    return not own.isdisjoint(identities)


def _typed(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _owners(claims: Mapping[str, Any]) -> set[str]:
    """Who answers for a service account; an address also as a person's identity has it."""
    named = claims.get("owner")
    names = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
    return {*names, *(name.casefold() for name in names if "@" in name)}
