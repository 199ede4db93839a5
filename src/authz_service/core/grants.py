"""A grant: for a while, requests of a kind that people have approved go through without asking them again.

It turns a hold into a release and nothing else: it never stands against a deny, and what is masked stays
masked. It covers a request only if every approval that is asked for is one that it was voted under, by the
very definition, and it is of no use to those who voted for it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from authz_service.core.caller_facts import CallerFacts, are_still_true
from authz_service.core.holds import Approval, StageRef, Vote
from authz_service.core.requesters import Identity, is_requester
from authz_service.view.caller import Caller

GRANT_IDS = "grant_"
"""What the ids of grants begin with, and those of nothing else."""
MOST_USES = 10_000
LONGEST = 30 * 86_400.0
"""Seconds from its proposal to its end, at most."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What makes a held request one of a kind, beside its caller and its model.

    `rules` are those that hold it, `tools` those that it offers to the model, `unread` the kinds of content
    in it that is no text. `template` (hex SHA-256) is the digest of the request without the text of its
    newest user turn.
    """

    rules: tuple[str, ...]
    tools: tuple[str, ...]
    unread: tuple[str, ...]
    template: str


@dataclass(frozen=True, slots=True)
class OneCaller:
    """Requests of one person; see `Caller.identity`."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class OneGroup:
    """Requests of whoever is in a group at an issuer."""

    issuer: str
    name: str


Beneficiary = OneCaller | OneGroup


@dataclass(frozen=True, slots=True)
class Terms:
    """What people agree to: whose requests, of which kind, how many times, until when.

    `template` is "" where any text goes. `until` is in whole seconds since the epoch. `unchanged` is what
    the caller must be as when people were asked: by that it was known who votes.
    """

    beneficiary: Beneficiary
    api: str
    operation: str
    model: str
    rules: tuple[str, ...]
    tools: tuple[str, ...]
    unread: tuple[str, ...]
    template: str
    approvals: tuple[Approval, ...]
    uses: int
    until: int
    unchanged: CallerFacts = ()

    def __post_init__(self) -> None:
        if not 1 <= self.uses <= MOST_USES:
            raise ValueError(f"a grant has 1 to {MOST_USES} uses, got {self.uses}")
        if not self.approvals or not self.rules:
            raise ValueError("a grant stands in for approvals that rules ask for")


@dataclass(frozen=True, slots=True)
class Held:
    """A request that the rules hold, as far as grants ask about it."""

    caller: Caller
    api: str
    operation: str
    model: str
    traits: Traits
    approvals: tuple[Approval, ...]


def covers(terms: Terms, held: Held, makers: Collection[Identity], *, now: float) -> bool:
    """Whether a request goes through under these terms at `now`. `makers` are those who voted for them.

    A token that has expired lets nothing through.
    """
    traits = held.traits
    return (
        now < min(terms.until, held.caller.expires_at)
        and is_for(terms.beneficiary, held.caller)
        and are_still_true(terms.unchanged, held.caller)
        and (terms.api, terms.operation, terms.model) == (held.api, held.operation, held.model)
        and _is_among(held.approvals, terms.approvals)
        and _is_among(traits.rules, terms.rules)
        and set(traits.tools) <= set(terms.tools)
        and set(traits.unread) <= set(terms.unread)
        and terms.template in ("", traits.template)
        and not is_requester(held.caller, *makers)
    )


def is_for(beneficiary: Beneficiary, caller: Caller) -> bool:
    """Whether a grant for these is for this caller."""
    match beneficiary:
        case OneCaller(identity):
            return caller.identity == identity
        case OneGroup(issuer, name):
            return caller.issuer == issuer and name in caller.groups
        case _ as never:
            assert_never(never)


def _is_among(asked: Sequence[object], agreed: Sequence[object]) -> bool:
    """Whether something is asked for, and nothing that was not agreed to."""
    return bool(asked) and set(asked) <= set(agreed)


class GrantState(StrEnum):
    """PROPOSED lacks votes; only an ACTIVE one lets anything through; the others are final."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    USED_UP = "used_up"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Use:
    """The exchange that a grant let through; `number` counts from 1, `at` is seconds since the epoch."""

    number: int
    session: str
    at: float


@dataclass(frozen=True, slots=True)
class Revoked:
    """Who ended it, when, and why."""

    person: Identity
    name: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant as it stands, made from `hold`, which `session` opened.

    `text` are its terms as JSON, and `digest` (hex SHA-256) of these is what votes name.
    While it is proposed, votes are missing in `open_stages` before `deadline`; `counted` are the ids of
    those that count there. `version` grows with every change. `uses` are told where one grant is asked for.
    """

    id: str
    hold: str
    session: str
    terms: Terms
    text: str
    digest: str
    state: GrantState
    version: int
    created_at: float
    deadline: float
    used: int
    votes: tuple[Vote, ...]
    open_stages: tuple[StageRef, ...] = ()
    counted: tuple[str, ...] = ()
    revoked: Revoked | None = None
    uses: tuple[Use, ...] = ()


@dataclass(frozen=True, slots=True)
class Maker:
    """Who votes for a grant, or ends it. The same `idempotency_key` of the same person is one act.

    `person` is `Caller.identity`, `account` their (issuer, subject), `owners` who answers for it where it is
    a service's (see `owners_of`); `may_vote_in` are the stages of its hold whose condition they satisfy.
    """

    person: Identity
    account: Identity
    name: str
    may_vote_in: tuple[StageRef, ...] = ()
    reason: str = ""
    idempotency_key: str = ""
    owners: frozenset[Identity] = frozenset()
