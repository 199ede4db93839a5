"""Votes and what reviewers do beside voting as rows, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from authz_service.core.acts import Act, ActDraft, ActKind, Revised
from authz_service.core.ballots import Ballot
from authz_service.core.holds import StageRef, Verdict, Vote
from authz_service.store.column_texts import identity_text, key_text, micro, seconds
from authz_service.store.hold_documents import answer_document, read_answer


def vote_row(
    ballot: Ballot, counts_for: Sequence[StageRef], owners: Sequence[str], *, id: str, seq: int, now: int
) -> dict[str, Any]:
    """The row of a vote cast at `now`, which counts in the stages given and in no other.

    `owners` are the pseudonyms of who owns the voter's account.
    """
    detail = vote_detail(ballot.name, ballot.reason, counts_for, owners, is_break_glass=ballot.is_break_glass)
    return {
        "seq": seq,
        "id": id,
        "hold": ballot.hold,
        "voter": identity_text(ballot.voter),
        "account": identity_text(ballot.account or ballot.voter),
        "idempotency_key": key_text(ballot.idempotency_key) if ballot.idempotency_key else None,
        "approves": ballot.verdict is Verdict.APPROVE,
        "digest": ballot.digest,
        "at": now,
        "detail": json.dumps(detail),
    }


def read_vote(row: Row[Any], withdrawn: Mapping[str, float], revised: int) -> Vote:
    """A row of `votes`; `withdrawn` has the ids of those that were taken back, and when.

    Those before the entry `revised`, the last edit of the hold, are void.
    """
    detail = json.loads(row.detail)
    issuer, subject = json.loads(row.voter)
    return Vote(
        row.id,
        (issuer, subject),
        Verdict.APPROVE if row.approves else Verdict.REJECT,
        row.digest,
        seconds(row.at),
        tuple(StageRef(*ref) for ref in detail["counts_for"]),
        detail["name"],
        detail["reason"],
        bool(detail.get("break_glass")),
        withdrawn.get(row.id),
        row.seq < revised,
    )


def vote_detail(
    name: str,
    reason: str,
    counts_for: Sequence[StageRef],
    owners: Sequence[Any] = (),
    *,
    is_break_glass: bool,
) -> dict[str, Any]:
    """What the column `detail` of a vote has, as JSON."""
    detail = {"name": name, "reason": reason, "counts_for": [_ref_document(ref) for ref in counts_for]}
    return detail | _owners_document(owners) | ({"break_glass": True} if is_break_glass else {})


def _ref_document(ref: StageRef) -> list[Any]:
    return [ref.approval, ref.stage, *([True] if ref.is_escalated else [])]


def act_row(draft: ActDraft, act: Act, *, seq: int) -> dict[str, Any]:
    """The row of what a reviewer did."""
    return {
        "seq": seq,
        "id": act.id,
        "hold": draft.hold,
        "kind": act.kind.value,
        "voter": identity_text(act.person),
        "account": identity_text(act.account),
        "idempotency_key": key_text(draft.idempotency_key) if draft.idempotency_key else None,
        "at": micro(act.at),
        "detail": json.dumps(
            act_detail(act.name, act.text, act.votes, act.until, revised_document(act.revised), act.owners)
        ),
    }


def read_act(row: Row[Any]) -> Act:
    """A row of `hold_acts`."""
    detail = json.loads(row.detail)
    voter, account = json.loads(row.voter), json.loads(row.account)
    return Act(
        row.id,
        ActKind(row.kind),
        (voter[0], voter[1]),
        (account[0], account[1]),
        detail["name"],
        seconds(row.at),
        detail["text"],
        tuple(detail["votes"]),
        detail["until"],
        _read_revised(detail.get("revised")),
        row.seq,
        tuple(detail.get("owners", ())),
    )


def act_detail(
    name: str,
    text: str,
    votes: Sequence[str],
    until: float | None,
    revised: Mapping[str, Any] | None,
    owners: Sequence[Any] = (),
) -> dict[str, Any]:
    """What the column `detail` of an act has, as JSON."""
    detail: dict[str, Any] = {"name": name, "text": text, "votes": list(votes), "until": until}
    detail |= _owners_document(owners)
    return detail if revised is None else detail | {"revised": revised}


def revised_document(revised: Revised | None) -> dict[str, Any] | None:
    """What an edit or a response made of a hold, as JSON."""
    if revised is None:
        return None
    document: dict[str, Any] = {"digest": revised.digest, "findings": dict(revised.findings)}
    document |= {"asked": revised.asked} if revised.asked else {}
    return document | ({"answer": answer_document(revised.answer)} if revised.answer else {})


def _read_revised(document: Any) -> Revised | None:
    if document is None:
        return None
    answer = read_answer(document["answer"]) if "answer" in document else None
    return Revised(document["digest"], document["findings"], answer, document.get("asked", ""))


def _owners_document(owners: Sequence[Any]) -> dict[str, Any]:
    return {"owners": list(owners)} if owners else {}
