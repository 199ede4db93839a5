"""Four eyes: who may have no say on a hold, whatever their role."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row

from authz_service.errors import Forbidden
from authz_service.store.hold_rows import identity_text
from authz_service.view.caller import API_KEYS


def refuse_requester(row: Row[Any], *identities: tuple[str, str]) -> None:
    """Neither the requester's person, account nor owner may decide; raises `Forbidden`."""
    detail = json.loads(row.detail)
    issuer = detail["caller"]["issuer"]
    requester = {row.identity, identity_text((issuer, detail["caller"]["subject"]))}
    owners = _owners(detail["claims"])
    # A key says no issuer of its owner's: whoever has the name at any of them is taken for the owner.
    is_owner = issuer == API_KEYS and not owners.isdisjoint(name for _, name in identities)
    for owner in owners:
        requester |= {identity_text((issuer, owner)), identity_text(("person", owner))}
    if is_owner or requester & {identity_text(identity) for identity in identities}:
        raise Forbidden("whoever sent a request cannot decide on it", code="own_request")


def _owners(claims: Mapping[str, Any]) -> set[str]:
    """Who answers for a service account; an address also as a person's identity has it."""
    named = claims.get("owner")
    names = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
    return {*names, *(name.casefold() for name in names if "@" in name)}
