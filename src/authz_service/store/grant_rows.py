"""A grant, its votes and its uses as rows, and back; and how a grant reads at a moment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select

from authz_service.audit.columns import clean
from authz_service.core.grants import Grant, GrantState, Revoked, Terms, Use
from authz_service.core.holds import Pending, StageRef, Standing, Verdict, Vote
from authz_service.core.requesters import Identity
from authz_service.core.standing import standing
from authz_service.errors import NotFound
from authz_service.store.column_texts import seconds
from authz_service.store.damage import reading
from authz_service.store.grant_documents import beneficiary_text, digest_of, read_terms
from authz_service.store.schema import grant_acts, grant_uses, grants, holds
from authz_service.store.transaction import Reader
from authz_service.store.vote_rows import vote_detail

VOTE = "vote"
REVOKE = "revoke"
WITH_SESSION = select(grants, holds.c.session).outerjoin(holds, holds.c.id == grants.c.hold)
"""Rows of grants with the session of the hold; None for one whose hold somebody has deleted."""


@dataclass(frozen=True, slots=True)
class Said:
    """What people said of a grant: their votes, by whom of all their identities, and who revoked it.

    `owners` are the pseudonyms of who owns a voter's account, by the vote's id as `voters` is.
    """

    votes: tuple[Vote, ...]
    voters: Mapping[str, frozenset[Identity]]
    owners: Mapping[str, frozenset[str]]
    revoked: Revoked | None

    @property
    def makers(self) -> frozenset[Identity]:
        """All identities of all who voted."""
        return frozenset().union(*self.voters.values())

    @property
    def owning(self) -> frozenset[str]:
        """The pseudonyms of all who own an account that voted."""
        return frozenset().union(*self.owners.values())


def grant_row(terms: Terms, detail: str, *, id: str, hold: str, seq: int, now: int) -> dict[str, Any]:
    """The row of a grant that is proposed at `now`."""
    waiting = stands_by(detail, (), created_at=now, now=now)
    if not isinstance(waiting, Pending):
        raise ValueError("a grant begins without votes")
    return {
        "id": id,
        "seq": seq,
        "changed": seq,
        "state": GrantState.PROPOSED.value,
        "hold": hold,
        "beneficiary": beneficiary_text(terms.beneficiary),
        "model": clean(terms.model),
        "uses": terms.uses,
        "used": 0,
        "until": terms.until * 1_000_000,
        "created_at": now,
        "deadline": round(waiting.deadline * 1_000_000),
        "detail": detail,
    }


def act_detail(
    kind: str,
    name: str,
    reason: str,
    counts_for: Sequence[StageRef],
    killed: Sequence[str] | None = None,
    owners: Sequence[Any] = (),
) -> str:
    """The column `detail` of what somebody said of a grant; `killed` are the sessions that its end ended.

    `owners` are the pseudonyms of who owns the voter's account.
    """
    if kind == REVOKE:
        ended = {} if killed is None else {"killed": list(killed)}
        return json.dumps({"name": name, "reason": reason, **ended})
    return json.dumps(vote_detail(name, reason, counts_for, owners, is_break_glass=False))


def stands_by(detail: str, votes: Sequence[Vote], *, created_at: int, now: int) -> Standing:
    """Where a proposal stands at `now` by these votes, whatever its column says."""
    found = json.loads(detail)
    return standing(
        read_terms(found["terms"]).approvals,
        votes,
        opened_at=seconds(created_at),
        now=seconds(now),
        zones=found.get("zones", {}),
    )


def state_at(row: Row[Any], now: int) -> GrantState:
    """The state of a row of `grants` at `now`: time ends a grant without anybody's doing."""
    state = GrantState(row.state)
    if state is GrantState.PROPOSED and min(row.deadline, row.until) <= now:
        return GrantState.EXPIRED
    if state is GrantState.ACTIVE and row.used >= row.uses:
        return GrantState.USED_UP
    return GrantState.EXPIRED if state is GrantState.ACTIVE and row.until <= now else state


def grant_with_id(reader: Reader, grant_id: str) -> Row[Any]:
    """The row of a grant, with the session of its hold, as `grant_rows`; raises `NotFound`."""
    rows = grant_rows(reader, [grant_id])
    if not rows:
        raise NotFound("there is no such grant", code="grant_not_found")
    return rows[0]


def grant_rows(reader: Reader, names: Sequence[str]) -> Sequence[Row[Any]]:
    """The rows of these grants, the oldest first."""
    wanted = grants.c.id.in_([clean(name) for name in names])
    return reader.read(WITH_SESSION.where(wanted).order_by(grants.c.seq)).all()


def said_of(reader: Reader, grant_id: str) -> Said:
    """What people said of a grant, in order."""
    query = select(grant_acts).where(grant_acts.c.grant_id == grant_id).order_by(grant_acts.c.seq)
    votes: list[Vote] = []
    voters: dict[str, frozenset[Identity]] = {}
    owners: dict[str, frozenset[str]] = {}
    revoked: Revoked | None = None
    for row in reader.read(query):
        detail = json.loads(row.detail)
        person, account = _identity(row.voter), _identity(row.account)
        if row.kind == REVOKE:  # a later one ended what still ran, and not the grant
            revoked = revoked or Revoked(person, detail["name"], detail["reason"], seconds(row.at))
            continue
        voters[row.id] = frozenset({person, account})
        owners[row.id] = frozenset(detail.get("owners", ()))
        votes.append(
            Vote(
                row.id,
                person,
                Verdict.APPROVE,
                "",
                seconds(row.at),
                tuple(StageRef(*ref) for ref in detail["counts_for"]),
                detail["name"],
                detail["reason"],
            )
        )
    return Said(tuple(votes), voters, owners, revoked)


def _identity(text: str) -> Identity:
    issuer, subject = json.loads(text)
    return issuer, subject


def terms_of(row: Row[Any]) -> tuple[str, Terms]:
    """The terms of a row of `grants`, as text too; raises `Unavailable` when they cannot be read."""
    with reading(f"the terms of grant {row.id}"):
        text = json.loads(row.detail)["terms"]
        return text, read_terms(text)


def read_grant(reader: Reader, row: Row[Any], *, with_uses: bool = False) -> Grant:
    """A grant as it stands now; raises `Unavailable` when its terms cannot be read."""
    text, terms = terms_of(row)
    with reading(f"grant {row.id}"):
        said, state = said_of(reader, row.id), state_at(row, reader.now)
        stands = stands_by(row.detail, said.votes, created_at=row.created_at, now=reader.now)
    digest = digest_of(text)
    pending = stands if state is GrantState.PROPOSED and isinstance(stands, Pending) else None
    return Grant(
        row.id,
        row.hold,
        row.session or "",
        terms,
        text,
        digest,
        state,
        row.changed,
        seconds(row.created_at),
        seconds(row.deadline),
        row.used,
        tuple(replace(vote, digest=digest) for vote in said.votes),
        pending.open_stages if pending else (),
        pending.counted if pending else (),
        said.revoked,
        _uses(reader, row.id) if with_uses else (),
    )


def _uses(reader: Reader, grant_id: str) -> tuple[Use, ...]:
    query = select(grant_uses).where(grant_uses.c.grant_id == grant_id).order_by(grant_uses.c.number)
    return tuple(Use(row.number, row.session, seconds(row.at)) for row in reader.read(query))
