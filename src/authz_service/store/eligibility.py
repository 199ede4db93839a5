"""Four eyes: who may have no say on a hold, whatever their role."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from authz_service.core.acts import Act
from authz_service.core.holds import Verdict
from authz_service.core.ports import Ballot
from authz_service.errors import Forbidden
from authz_service.store.hold_rows import approvals_of, identity_text
from authz_service.view.caller import API_KEYS, CERTIFICATES


def refuse_requester(row: Row[Any], *identities: tuple[str, str]) -> None:
    """Neither the requester's person, account nor owner may decide; raises `Forbidden`."""
    detail = json.loads(row.detail)
    issuer = detail["caller"]["issuer"]
    requester = {row.identity, identity_text((issuer, detail["caller"]["subject"]))}
    owners = _owners(detail["claims"])
    # Keys and certificates say no issuer of their owner's: whoever has the name at any of them is taken for
    # the owner. It was typed by hand: what differs in case, or in the spaces around it, is the same name.
    typed = {_typed(owner) for owner in owners}
    is_owner = issuer in (API_KEYS, CERTIFICATES) and not typed.isdisjoint(
        _typed(name) for _, name in identities
    )
    for owner in owners:
        requester |= {identity_text((issuer, owner)), identity_text(("person", owner))}
    if is_owner or requester & {identity_text(identity) for identity in identities}:
        raise Forbidden("whoever sent a request cannot decide on it", code="own_request")


def without_own_edits(row: Row[Any], acts: Sequence[Act], ballot: Ballot) -> Ballot:
    """The ballot as far as it may approve what its voter has edited, or answered; raises `Forbidden`.

    Whoever made something of a request is no second pair of eyes on it, unless the stage says so. They may
    reject it.
    """
    mine = {ballot.voter, ballot.account or ballot.voter}
    is_editor = any(act.revised is not None and {act.person, act.account} & mine for act in acts)
    if not is_editor or ballot.verdict is Verdict.REJECT:
        return ballot
    stages = {(a.name, n): stage for a in approvals_of(row) for n, stage in enumerate(a.stages)}
    left = tuple(r for r in ballot.may_vote_in if stages[r.approval, r.stage].editor_may_approve)
    if ballot.is_break_glass or not left:
        raise Forbidden("somebody else has to approve what you edited or answered", code="own_edit")
    return replace(ballot, may_vote_in=left)


def _typed(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _owners(claims: Mapping[str, Any]) -> set[str]:
    """Who answers for a service account; an address also as a person's identity has it."""
    named = claims.get("owner")
    names = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
    return {*names, *(name.casefold() for name in names if "@" in name)}
