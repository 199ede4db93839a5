"""What an exchange asks the shell to do, in the imperative; run in order, each to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import AnswerHead
from authz_service.core.limits import Demand
from authz_service.core.openings import AnswerWanted
from authz_service.core.refusals import Refusal
from authz_service.core.stored_holds import Hold, HoldDraft
from authz_service.model_apis.base import ApiError
from authz_service.values import value
from authz_service.view.caller import Caller


@value
class Judge:
    """Inspect `body` and evaluate the rules of this moment for `caller`.

    `is_edited` says that it was masked before. RequestJudged or RequestFailed.
    """

    body: bytes
    caller: Caller
    is_edited: bool = False


@value
class Admit:
    """Count the request, recording `first`, the entry it begins with, unless a limit is reached.

    AdmissionAnswered.
    """

    demand: Demand
    first: EntryDraft


@value
class Record:
    """Commit entries; what follows in the list happens only when they are committed.

    `ends` is the hold that the exchange has waited for: if it pends, and nobody else waits for it, it ends
    with them, since nobody has to be asked any more.
    """

    drafts: tuple[EntryDraft, ...]
    ends: str = ""


@value
class RecordLater:
    """Commit entries as soon as the store can, while it is away too; nothing waits for them."""

    drafts: tuple[EntryDraft, ...]


@value
class CountRepeats:
    """The refusal is on record as this session: count equal ones that come soon with it."""

    refusal: Refusal


@value
class OpenHold:
    """Open or find the hold of this request: HoldAnswered."""

    draft: HoldDraft


@value
class FindAnswer:
    """Look for the answer to this request that people are asked about: AnswerFound."""

    wanted: AnswerWanted


@value
class JudgeAnswer:
    """Evaluate the rules for answers of this moment over a held answer: AnswerJudged or AnswerFailed."""

    hold: Hold
    caller: Caller


@value
class WatchHold:
    """Wait for the hold in the background: HoldApproved, HoldEnded or WaitElapsed.

    `seconds` are those that the caller prefers; None for the usual wait (`holds.wait`). With `is_answer`
    what is known of the request is needed again.
    """

    hold: str
    seconds: int | None = None
    is_answer: bool = False


@value
class LeaveHold:
    """Stop waiting for the hold; the next exchange in line may have its turn."""


@value
class Consume:
    """Use the approval of `hold` for this exchange, recording `entries` with it: HoldConsumed."""

    hold: str
    digest: str
    entries: tuple[EntryDraft, ...]


@value
class Forward:
    """Let the request through to `model`, with exactly `body`; `marks` are headers of ours for the answer."""

    body: bytes
    model: str
    marks: Mapping[str, str] = field(default_factory=dict)


@value
class Reply:
    """Answer the caller with an error in the API's own shape; the request goes nowhere."""

    error: ApiError
    headers: Mapping[str, str] = field(default_factory=dict)


@value
class ReadAnswer:
    """From now on, read what comes of the answer: AnswerRead for each piece, or AnswerFailed."""

    status: int
    headers: Mapping[str, str]
    is_last: bool


@value
class ForwardAnswer:
    """Let `body` through to the caller, the answer's headers first; nothing follows an `is_last`."""

    body: bytes
    is_last: bool


@value
class MarkAnswer:
    """Put `marks`, headers of ours, on the answer that goes on next."""

    marks: Mapping[str, str]


@value
class GiveAnswer:
    """Answer the caller in place of the model, with a whole answer that was approved.

    `marks` are headers of ours.
    """

    head: AnswerHead
    body: bytes
    marks: Mapping[str, str] = field(default_factory=dict)


@value
class CutAnswer:
    """End an answer that has begun with an error in the API's streaming shape; drop the rest."""

    error: ApiError


@value
class Abort:
    """Fail the stream, so that Envoy closes both sides (never a clean end: that would fail open)."""

    reason: str


Command = (
    Judge
    | Admit
    | Record
    | RecordLater
    | CountRepeats
    | OpenHold
    | FindAnswer
    | JudgeAnswer
    | WatchHold
    | LeaveHold
    | Consume
    | Forward
    | Reply
    | ReadAnswer
    | ForwardAnswer
    | MarkAnswer
    | GiveAnswer
    | CutAnswer
    | Abort
)
