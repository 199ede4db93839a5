"""What reviewers do to a hold beside voting.

They claim it, comment on it, take a vote back, review it later; they edit the request, or answer it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from authz_service.core.holds import StageRef, Vote


class ActKind(StrEnum):
    """The word of each."""

    CLAIM = "claim"
    UNCLAIM = "unclaim"
    COMMENT = "comment"
    WITHDRAW = "withdraw"
    REVIEW = "review"
    EDIT = "edit"
    RESPOND = "respond"


class Review(StrEnum):
    """Whether somebody has to look at a decision that was made alone."""

    NONE = ""
    DUE = "due"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """What stands before the body of an answer that waits: its status, and the headers that go with it.

    `masked` counts what was taken out of the body, by entity type.
    """

    status: int
    headers: Mapping[str, str]
    masked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revised:
    """What waits since an edit or a response: the digest (hex SHA-256) of its bytes, and its findings.

    With `answer` the bytes are an answer, which a reviewer wrote in the place of the model. `asked` is the
    digest of what the reviewer sent, from which these bytes were made.
    """

    digest: str
    findings: Mapping[str, int]
    answer: AnswerHead | None = None
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """The bytes that a reviewer puts in the place of those that wait.

    `shown` is the digest of the bytes that they saw, `may_vote_in` the stages whose condition they satisfy;
    `changes` says for the record what is new, `asked` is the digest (hex SHA-256) of what they sent.
    """

    shown: str
    forward: bytes
    findings: Mapping[str, int]
    may_vote_in: tuple[StageRef, ...]
    changes: bytes = b""
    answer: AnswerHead | None = None
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One of them, on record. `text` is a comment or a reason; `at` and `until` seconds since the epoch.

    `votes` are the ids of those that were taken back, `until` is when a claim ends by itself, `revised`
    what an edit or a response made of the hold, `number` that of its entry, once it has one. `owners` are the
    pseudonyms of who answers for the account, where it is a service's.
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
    revised: Revised | None = None
    number: int = field(default=0, compare=False)
    owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActDraft:
    """What somebody wants to do. The same `idempotency_key` of the same person is one act.

    `person` is `Caller.identity`, `account` their (issuer, subject), `owners` who answers for it where it is
    a service's (see `owners_of`). With an edit or a response comes its `revision`. With `only_own` no vote is
    taken back but what this account has cast.
    """

    hold: str
    kind: ActKind
    person: tuple[str, str]
    account: tuple[str, str]
    name: str
    text: str = ""
    idempotency_key: str = ""
    revision: Revision | None = None
    owners: frozenset[tuple[str, str]] = frozenset()
    only_own: bool = False


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
