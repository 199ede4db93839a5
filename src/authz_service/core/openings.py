"""What a store answers whoever opens a hold, or looks for an answer that waits."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.audit.draft import EntryDraft
from authz_service.core.limits import LimitReached
from authz_service.core.stored_holds import HoldSummary
from authz_service.view.caller import Caller


@dataclass(frozen=True, slots=True)
class AnswerWanted:
    """The request of `session`, whose answer may be there already; `entries` are recorded if it is.

    `fingerprint` is that of the answer's hold, `changes` that of the request.
    """

    session: str
    caller: Caller
    fingerprint: str
    changes: str
    entries: tuple[EntryDraft, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A new hold was opened."""

    hold: HoldSummary


@dataclass(frozen=True, slots=True)
class Attached:
    """The same person's same request is open already; its hold is pending or approved."""

    hold: HoldSummary


@dataclass(frozen=True, slots=True)
class AlreadyRejected:
    """The same request was rejected a short while ago; that answer still stands."""

    hold: HoldSummary


@dataclass(frozen=True, slots=True)
class TooManyHolds:
    """The caller has as many pending holds as the configuration allows."""

    limit: int


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant covers the request: its release is on record, and one of the grant's uses is spent."""

    grant: str


Opening = Opened | Attached | AlreadyRejected | TooManyHolds | LimitReached | Granted
