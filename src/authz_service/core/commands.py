"""What an exchange asks the shell to do, in the imperative; run in order, each to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from authz_service.audit.draft import EntryDraft
from authz_service.core.ports import HoldDraft
from authz_service.model_apis.base import ApiError
from authz_service.view.caller import Caller


@dataclass(frozen=True, slots=True)
class Judge:
    """Inspect `body` and evaluate the rules of this moment for `caller`.

    RequestJudged or RequestFailed.
    """

    body: bytes
    caller: Caller


@dataclass(frozen=True, slots=True)
class Record:
    """Commit entries; what follows in the list happens only when they are committed."""

    drafts: tuple[EntryDraft, ...]


@dataclass(frozen=True, slots=True)
class RecordLater:
    """Commit entries as soon as the store can, while it is away too; nothing waits for them."""

    drafts: tuple[EntryDraft, ...]


@dataclass(frozen=True, slots=True)
class OpenHold:
    """Open or find the hold of this request: HoldAnswered."""

    draft: HoldDraft


@dataclass(frozen=True, slots=True)
class WatchHold:
    """Wait for the hold in the background: HoldApproved, HoldEnded or WaitElapsed."""

    hold: str


@dataclass(frozen=True, slots=True)
class LeaveHold:
    """Stop waiting for the hold; the next exchange in line may have its turn."""


@dataclass(frozen=True, slots=True)
class Consume:
    """Use the approval of `hold` for this exchange, recording `entries` with it: HoldConsumed."""

    hold: str
    digest: str
    entries: tuple[EntryDraft, ...]


@dataclass(frozen=True, slots=True)
class Forward:
    """Let the request through to `model`, with exactly `body`."""

    body: bytes
    model: str


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the caller with an error in the API's own shape; the request goes nowhere."""

    error: ApiError
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """From now on, read what comes of the answer: AnswerRead for each piece, or AnswerFailed."""

    status: int
    headers: Mapping[str, str]
    is_last: bool


@dataclass(frozen=True, slots=True)
class ForwardAnswer:
    """Let `body` through to the caller, the answer's headers first; nothing follows an `is_last`."""

    body: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class CutAnswer:
    """End an answer that has begun with an error in the API's streaming shape; drop the rest."""

    error: ApiError


@dataclass(frozen=True, slots=True)
class Abort:
    """Fail the stream, so that Envoy closes both sides (never a clean end: that would fail open)."""

    reason: str


Command = (
    Judge
    | Record
    | RecordLater
    | OpenHold
    | WatchHold
    | LeaveHold
    | Consume
    | Forward
    | Reply
    | ReadAnswer
    | ForwardAnswer
    | CutAnswer
    | Abort
)
