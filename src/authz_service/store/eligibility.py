"""Four eyes: who may have no say on a hold, whatever their role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from authz_service.core.acts import Act
from authz_service.core.ballots import Ballot
from authz_service.core.holds import Verdict
from authz_service.core.requesters import is_requester
from authz_service.errors import Forbidden
from authz_service.store.hold_rows import approvals_of, caller_of, requester_of
from authz_service.store.transaction import Transaction
from authz_service.store.voices import voice_of, voice_said


def refuse_requester(row: Row[Any], *identities: tuple[str, str]) -> None:
    """Neither the requester's person, account nor owner may decide; raises `Forbidden`.

    `identities` are all of who wants to: their person, account and owners.
    """
    if requester_of(row) in identities or is_requester(caller_of(row), *identities):
        raise Forbidden("whoever sent a request cannot decide on it", code="own_request")


def without_own_edits(transaction: Transaction, row: Row[Any], acts: Sequence[Act], ballot: Ballot) -> Ballot:
    """The ballot as far as it may approve what its voter has edited, or answered; raises `Forbidden`.

    Whoever made something of a request is no second pair of eyes on it, unless the stage says so. They may
    reject it.
    """
    mine = voice_of(transaction, ballot.voter, ballot.account or ballot.voter, ballot.owners)
    is_editor = any(
        mine.is_one_with(voice_said(transaction, (act.person, act.account), act.owners))
        for act in acts
        if act.revised is not None
    )
    if not is_editor or ballot.verdict is Verdict.REJECT:
        return ballot
    stages = {(a.name, n): stage for a in approvals_of(row) for n, stage in enumerate(a.stages)}
    left = tuple(r for r in ballot.may_vote_in if stages[r.approval, r.stage].editor_may_approve)
    if ballot.is_break_glass or not left:
        raise Forbidden("somebody else has to approve what you edited or answered", code="own_edit")
    return replace(ballot, may_vote_in=left)
