"""A vote as it is cast, before anybody knows whether it counts."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.core.holds import StageRef, Verdict


@dataclass(frozen=True, slots=True)
class Ballot:
    """A vote to be cast. `may_vote_in` are the stages whose condition the reviewer satisfies.

    `digest` is that of the bytes the reviewer was shown. The same `idempotency_key` of the same
    voter is one vote: sent again, it yields the hold as it stands. `account` is the reviewer's
    (issuer, subject) where `voter` is a person's: one account never counts as two people, nor as
    another than the requester, because one of its tokens lacked the person claim. `owners` are who answers
    for it, where it is a service's (see `owners_of`): with these it is one person. One with
    `is_break_glass` decides alone, in no stage, and has to be reviewed afterwards.
    """

    hold: str
    voter: tuple[str, str]
    name: str
    verdict: Verdict
    digest: str
    may_vote_in: tuple[StageRef, ...]
    reason: str = ""
    idempotency_key: str = ""
    account: tuple[str, str] | None = None
    is_break_glass: bool = False
    owners: frozenset[tuple[str, str]] = frozenset()
