"""What reviewers do to a hold beside voting: claim it, comment on it, take a vote back, review it later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from authz_service.core.holds import Vote


class ActKind(StrEnum):
    """The word of each."""

    CLAIM = "claim"
    UNCLAIM = "unclaim"
    COMMENT = "comment"
    WITHDRAW = "withdraw"
    REVIEW = "review"


class Review(StrEnum):
    """Whether somebody has to look at a decision that was made alone."""

    NONE = ""
    DUE = "due"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Act:
    """One of them, on record. `text` is a comment or a reason; `at` and `until` seconds since the epoch.

    `votes` are the ids of those that were taken back, `until` is when a claim ends by itself.
    """

    id: str
    kind: ActKind
    person: tuple[str, str]
    account: tuple[str, str]
    name: str
    at: float
    text: str = ""
    votes: tuple[str, ...] = ()
    until: float | None = None


@dataclass(frozen=True, slots=True)
class ActDraft:
    """What somebody wants to do. The same `idempotency_key` of the same person is one act.

    `person` is `Caller.identity`, `account` their (issuer, subject).
    """

    hold: str
    kind: ActKind
    person: tuple[str, str]
    account: tuple[str, str]
    name: str
    text: str = ""
    idempotency_key: str = ""


def claim_of(acts: Sequence[Act], votes: Sequence[Vote], *, now: float) -> Act | None:
    """The claim in force at `now`, of `acts` in their order.

    It ends when it is released, when its time is over, or with a vote of whoever made it.
    """
    claims = [act for act in acts if act.kind in (ActKind.CLAIM, ActKind.UNCLAIM)]
    last = claims[-1] if claims else None
    if last is None or last.kind is ActKind.UNCLAIM or last.until is None or last.until <= now:
        return None
    has_voted = any(vote.voter == last.person and vote.at >= last.at for vote in votes)
    return None if has_voted else last
