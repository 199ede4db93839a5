"""What can happen to an exchange, in the past tense. The shell makes them, `core.exchange` handles them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from authz_service.core.holds import Approval
from authz_service.core.limits import Admission, Demand
from authz_service.core.openings import AlreadyRejected, Attached, Opening
from authz_service.core.stored_holds import Hold, HoldSummary
from authz_service.errors import AuthzError
from authz_service.inspection.results import AnswerStep, RequestInspection
from authz_service.policy.decision import Decision
from authz_service.values import value
from authz_service.view.kept import Kept


@value
class BodyRead:
    """The request is complete. `body` is all of it, at most the configured limit."""

    body: bytes


@value
class RequestJudged:
    """The rules decided. `inspection` is None for a path that passes unread.

    `approvals` are the definitions that the decision names, `new_hold` an id for a hold that may be
    opened, `now` seconds since the epoch; `model` is the name of the model that would be asked.
    With `holds_answers` a rule may have the answer wait. `demand` is there where limits count the request.
    `names` are the results of other exchanges that the bytes for the model refer to.
    """

    decision: Decision
    model: str
    new_hold: str
    now: float
    inspection: RequestInspection | None = None
    approvals: tuple[Approval, ...] = ()
    holds_answers: bool = False
    demand: Demand | None = None
    names: tuple[Kept, ...] = ()


@value
class AdmissionAnswered:
    """The store has counted the request, or a limit is reached and nothing is recorded.

    `first` is the session of an equal refusal that is on record, with which this one was counted.
    """

    admission: Admission
    first: str | None = None


@value
class RequestFailed:
    """The request cannot be judged: too large, unreadable, trailers, a body where none belongs.

    `judged` is what the rules decided of one that they do not permit for what it carries unread, `first` the
    session of an equal refusal that is on record, with which this one was counted, `model` the one
    that was asked for, where a scope was to have it.
    """

    error: AuthzError
    judged: RequestJudged | None = None
    first: str | None = None
    model: str = ""


@value
class HoldAnswered:
    """The store opened a hold, attached to one, or refused to."""

    opening: Opening


@value
class AnswerFound:
    """The store has looked for an answer that waits, or was withheld; None where there is none."""

    opening: Attached | AlreadyRejected | None


@value
class HoldApproved:
    """The hold has its votes, and it is this exchange's turn to use the approval."""

    hold: Hold
    now: float


@value
class HoldEnded:
    """The hold was rejected, expired, superseded, or released to another exchange."""

    hold: HoldSummary


@value
class WaitElapsed:
    """The caller has waited on the connection for as long as the configuration says."""


@value
class HoldConsumed:
    """The approval was used for this exchange, or (`is_ours` false) it no longer can be."""

    is_ours: bool


@value
class AnswerStarted:
    """The headers of an answer came: the model's, or Envoy's own reply while nothing was forwarded.

    `headers` are those that may go on to the caller.
    """

    status: int
    headers: Mapping[str, str]
    is_last: bool


@value
class AnswerRead:
    """A piece of the answer was read. `decision` is set where a rule had something new to judge.

    `approvals`, `new_hold` and `now` are as in RequestJudged, for a decision to hold. `found` counts all
    findings up to here. `original` is what the model sent since the last piece that could go on: with one
    that can, with the last, and with a decision to deny; None where that is not kept, or is what `step`
    releases. `kept` are pseudonyms of what the model server keeps, as far as this piece names it first.
    """

    step: AnswerStep
    decision: Decision | None = None
    approvals: tuple[Approval, ...] = ()
    new_hold: str = ""
    now: float = 0.0
    found: Mapping[str, int] = field(default_factory=dict)
    original: bytes | None = None
    kept: tuple[str, ...] = ()


@value
class AnswerJudged:
    """The rules of this moment judged an answer that waits. `body` is it, as the masks of now have it.

    `found` counts its findings; the others are as in RequestJudged. `given` is `body` as the caller gets
    it: with the values of the request that `restored` counts, where the model said their placeholders.
    """

    body: bytes
    decision: Decision
    found: Mapping[str, int]
    masked: Mapping[str, int]
    new_hold: str
    given: bytes
    approvals: tuple[Approval, ...] = ()
    restored: Mapping[str, int] = field(default_factory=dict)


@value
class AnswerFailed:
    """The answer cannot be read, or broke off."""

    error: AuthzError


@value
class StoreFailed:
    """A command of the store failed; nothing that it stood before has happened.

    `answer_begun`: the caller has received the answer's headers already.
    """

    error: AuthzError
    answer_begun: bool


@value
class Killed:
    """An operator ended the exchange; `reason` is what the caller is told."""

    reason: str


@value
class ServiceStopped:
    """The process has to end before the exchange has: its time to do so is up."""


@value
class CallerLeft:
    """Envoy ended the stream: the client went away, or Envoy itself did.

    `is_unasked`: while its turn had not come for what was to be asked of the store, which never was.
    """

    is_unasked: bool = False


Event = (
    BodyRead
    | RequestFailed
    | RequestJudged
    | AdmissionAnswered
    | HoldAnswered
    | AnswerFound
    | HoldApproved
    | HoldEnded
    | WaitElapsed
    | HoldConsumed
    | AnswerStarted
    | AnswerRead
    | AnswerJudged
    | AnswerFailed
    | StoreFailed
    | Killed
    | ServiceStopped
    | CallerLeft
)
