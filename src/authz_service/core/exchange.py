"""The life of one exchange: events in, commands out; every transition is in this file.

    READING ──body──> JUDGING ──allow────────────────────────> FORWARDED ──> ANSWERING ──> CLOSED
                       │  ▲                                        ▲             │ hold
                  hold │  │ gone, or another's                     │             ▼
                       ▼  │                                        │        ANSWER_HELD ──> CLOSED
                     OPENING ──> WAITING ──approved──> REJUDGING ──> CONSUMING
                                    │ rejected, expired, wait over
                                    └──────────> CLOSED  (as every refusal, from any state)

What holds in every state: nothing is forwarded without a `Record` (or a `Consume`, which records)
before it in the same list; a failed command drops the rest of its list and comes back as an event;
an approval is used only through `Consume`, after the rules of that moment were asked again. An answer
that starts before the request was forwarded can only be Envoy's own, so the caller gets an error.
An event that a state does not know is a bug of ours, and raises.

It is longer than most files since whoever asks whether anything gets through undecided must be able to
read every way in one place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from authz_service.audit.draft import EntryDraft
from authz_service.core import entries, replies
from authz_service.core.commands import (
    Abort,
    Command,
    Consume,
    CutAnswer,
    Forward,
    ForwardAnswer,
    Judge,
    LeaveHold,
    OpenHold,
    ReadAnswer,
    Record,
    RecordLater,
    Reply,
    WatchHold,
)
from authz_service.core.events import (
    AnswerFailed,
    AnswerRead,
    AnswerStarted,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    HoldApproved,
    HoldConsumed,
    HoldEnded,
    Killed,
    RequestFailed,
    RequestJudged,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.holds import Approval
from authz_service.core.ports import (
    AlreadyRejected,
    Attached,
    Hold,
    HoldDraft,
    HoldState,
    Opened,
    TooManyHolds,
)
from authz_service.core.ports import (
    Opening as OpenedHold,
)
from authz_service.core.request import Request
from authz_service.core.states import (
    AnswerHeld,
    Answering,
    Closed,
    Consuming,
    Forwarded,
    Judging,
    Opening,
    Reading,
    Rejudging,
    State,
    Undecided,
    Waiting,
)
from authz_service.errors import AuthzError
from authz_service.model_apis.base import ApiError
from authz_service.policy.decision import Decision, Effect
from authz_service.view.answer import Usage


class IllegalEvent(RuntimeError):
    """An event that cannot happen in this state: a bug of ours, never a caller's fault."""


class Exchange:
    """One exchange's state. Not thread-safe; `handle` is called with one event after another.

    `is_recorded`: the request's own entry exists; set before the first event where an earlier process
    recorded it and died while it was held.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.state: State = Reading()
        self.is_recorded = False
        self._is_record_in_flight = False
        self._is_answered = False
        self._was_superseded = False

    @property
    def is_closed(self) -> bool:
        """Nothing more will be asked of the shell."""
        return isinstance(self.state, Closed)

    def handle(self, event: Event) -> list[Command]:
        """Move on, and say what is to be done now; raises `IllegalEvent`."""
        if isinstance(event, StoreFailed):
            return self._store_failed(event)
        self._is_record_in_flight = False
        if isinstance(self.state, Closed):
            return []
        if isinstance(event, CallerLeft):
            return self._left()
        if isinstance(event, Killed):
            return self._killed(event)
        if isinstance(self.state, Answering):  # first, since an answer comes in many pieces
            return self._answering(self.state, event)
        if isinstance(self.state, Undecided):
            if isinstance(event, AnswerStarted):
                return self._envoy_replied(event)
            if isinstance(event, RequestFailed):
                reply = replies.refused(event.error, session=self.request.session)
                decided = () if event.judged is None else (self._decided(event.judged),)
                return [LeaveHold(), *self._refuse(reply, *decided, size=self._size())]
        match self.state:
            case Reading():
                return self._reading(event)
            case Judging() as state:
                return self._judging(state, event)
            case Opening() as state:
                return self._opening(state, event)
            case Waiting() as state:
                return self._waiting(state, event)
            case Rejudging() as state:
                return self._rejudging(state, event)
            case Consuming() as state:
                return self._consuming(state, event)
            case Forwarded():
                return self._forwarded(event)
            case AnswerHeld() as state:
                return self._answer_held(state, event)
            case _ as never:
                assert_never(never)

    # The request's side.

    def _reading(self, event: Event) -> list[Command]:
        match event:
            case BodyRead(body):
                self.state = Judging(body)
                return [Judge(body, self.request.caller)]
            case _:
                raise self._illegal(event)

    def _judging(self, state: Judging, event: Event) -> list[Command]:
        match event:
            case RequestJudged(decision=decision):
                if decision.effect is Effect.ALLOW:
                    return self._allow(state.body, event)
                if decision.effect is Effect.DENY:
                    return self._deny(state.body, event)
                return self._open_hold(state.body, event, event.approvals, previous=state.previous)
            case _:
                raise self._illegal(event)

    def _allow(self, body: bytes, judged: RequestJudged) -> list[Command]:
        forward = judged.inspection.forward if judged.inspection else body
        released = entries.released(self.request, model=judged.model, body=forward)
        decided = self._decided(judged)
        self.state = Forwarded()
        return [self._record(decided, released, size=len(body)), Forward(forward, judged.model)]

    def _deny(self, body: bytes, judged: RequestJudged) -> list[Command]:
        redacted = judged.inspection.redacted if judged.inspection else None
        reply = replies.denied(judged.decision, session=self.request.session)
        decided = self._decided(judged, body=redacted)
        return self._refuse(reply, decided, outcome="denied", size=len(body))

    def _open_hold(
        self,
        body: bytes,
        judged: RequestJudged,
        approvals: tuple[Approval, ...],
        *,
        previous: str | None = None,
    ) -> list[Command]:
        if judged.inspection is None or not approvals:
            raise self._illegal(judged)
        inspection = judged.inspection
        draft = HoldDraft(
            id=judged.new_hold,
            session=self.request.session,
            caller=self.request.caller,
            fingerprint=_digest(inspection.fingerprint),
            changes=_digest(inspection.changes),
            digest=_digest(inspection.forward),
            forward=inspection.forward,
            api=inspection.operation.api,
            operation=inspection.operation.name,
            model=judged.model,
            rule=judged.decision.rule,
            reason=judged.decision.reason,
            policy=judged.decision.policy,
            approvals=approvals,
            findings=inspection.findings,
            previous=previous,
            entries=self._drafts(self._decided(judged), size=len(body)),
        )
        self.state = Opening(body)
        return [OpenHold(draft)]

    def _opening(self, state: Opening, event: Event) -> list[Command]:
        match event:
            case HoldAnswered(Opened(hold) | Attached(hold)):
                if self._goes_at_once(hold):
                    return self._wait_elapsed(hold)
                self.state = Waiting(state.body, hold)
                return [self._watch(hold)]
            case HoldAnswered(opening):
                return self._refuse(self._not_held(opening))
            case _:
                raise self._illegal(event)

    def _not_held(self, opening: OpenedHold) -> Reply:
        session = self.request.session
        match opening:
            case AlreadyRejected(hold):
                return replies.ended(hold, session=session)
            case TooManyHolds(limit):
                return replies.too_many(limit, session=session)
            case Opened() | Attached():
                raise IllegalEvent("a hold that is open was taken for a refusal")
            case _ as never:
                assert_never(never)

    def _goes_at_once(self, hold: Hold) -> bool:
        """Whether the caller prefers not to wait; for an approval that is there it need not."""
        prefer = self.request.prefer
        is_at_once = prefer.wait == 0 or (prefer.is_async and prefer.wait is None)
        return is_at_once and hold.state is HoldState.PENDING

    def _watch(self, hold: Hold) -> WatchHold:
        return WatchHold(hold.id, self.request.prefer.wait or None)

    def _waiting(self, state: Waiting, event: Event) -> list[Command]:
        match event:
            case HoldApproved(hold, now):
                return self._approved(state.body, hold, now)
            case HoldEnded(hold):
                return self._hold_ended(state.body, hold)
            case WaitElapsed():
                return self._wait_elapsed(state.hold)
            case _:
                raise self._illegal(event)

    def _approved(self, body: bytes, hold: Hold, now: float) -> list[Command]:
        is_snapshot = all(approval.snapshot for approval in hold.approvals)
        if not is_snapshot and self.request.caller.expires_at <= now:
            reply = replies.token_expired(hold, session=self.request.session)
            return [LeaveHold(), *self._refuse(reply, outcome="token_expired")]
        self.state = Rejudging(body, hold)
        return [Judge(body, hold.caller if is_snapshot else self.request.caller)]

    def _hold_ended(self, body: bytes, hold: Hold) -> list[Command]:
        if hold.state in (HoldState.REJECTED, HoldState.EXPIRED):
            reply = replies.ended(hold, session=self.request.session)
            return [LeaveHold(), *self._refuse(reply, outcome=hold.state.value)]
        if hold.state is HoldState.SUPERSEDED:
            if self._was_superseded:
                # Or two of them, sent under two identities of one person, would take turns for ever.
                reply = replies.superseded(hold, session=self.request.session)
                return [LeaveHold(), *self._refuse(reply, outcome=hold.state.value)]
            self._was_superseded = True
        return self._judge_anew(body, hold)

    def _judge_anew(self, body: bytes, hold: Hold) -> list[Command]:
        self.state = Judging(body, previous=hold.id)
        return [LeaveHold(), Judge(body, self.request.caller)]

    def _wait_elapsed(self, hold: Hold) -> list[Command]:
        reply = replies.pending(hold, session=self.request.session, prefer=self.request.prefer)
        ended = entries.ended(self.request, "pending")
        return self._close(LeaveHold(), self._record(ended), reply)

    def _rejudging(self, state: Rejudging, event: Event) -> list[Command]:
        match event:
            case RequestJudged(decision=decision):
                if decision.effect is Effect.DENY:
                    return [LeaveHold(), *self._deny(state.body, event)]
                if not _is_covered(state.hold, event):
                    approvals = event.approvals or state.hold.approvals
                    opened = self._open_hold(state.body, event, approvals, previous=state.hold.id)
                    return [LeaveHold(), *opened]
                return self._consume(state, event)
            case _:
                raise self._illegal(event)

    def _consume(self, state: Rejudging, judged: RequestJudged) -> list[Command]:
        hold = state.hold
        released = entries.released(self.request, model=hold.model, body=hold.forward, hold=hold.id)
        drafts = self._drafts(self._decided(judged), released, size=len(state.body))
        self.state = Consuming(state.body, hold)
        return [Consume(hold.id, hold.digest, drafts)]

    def _consuming(self, state: Consuming, event: Event) -> list[Command]:
        match event:
            case HoldConsumed(is_ours=True):
                self.state = Forwarded()
                return [LeaveHold(), Forward(state.hold.forward, state.hold.model)]
            case HoldConsumed(is_ours=False):
                return self._judge_anew(state.body, state.hold)
            case _:
                raise self._illegal(event)

    # The answer's side.

    def _forwarded(self, event: Event) -> list[Command]:
        self._is_answered = True
        match event:
            case AnswerStarted(status, headers, is_last):
                self.state = Answering(status, headers)
                return [ReadAnswer(status, headers, is_last)]
            case AnswerFailed(error):
                return self._answer_failed(error, is_begun=False)
            case _:
                raise self._illegal(event)

    def _answering(self, state: Answering, event: Event) -> list[Command]:
        if isinstance(event, AnswerFailed):
            return self._answer_failed(event.error, is_begun=state.is_started, status=state.status)
        if not isinstance(event, AnswerRead):
            raise self._illegal(event)
        decision = event.decision
        if decision is not None and decision.effect is Effect.DENY:
            return self._deny_answer(state, event, decision)
        if state.hold is not None:
            return self._collect(state, state.hold, event)
        if decision is not None and decision.effect is Effect.HOLD:
            return self._collect(state, event, event)
        return self._release_answer(state, event)

    def _release_answer(self, state: Answering, event: AnswerRead) -> list[Command]:
        step = event.step
        usage = step.usage or state.usage
        masked = _sum(state.masked, step.masked)
        if not step.release and not step.is_last:
            self.state = Answering(state.status, state.headers, state.is_started, usage=usage, masked=masked)
            return []
        drafts = self._answer_drafts(state, event)
        if step.release:
            drafts.append(entries.answer_released(self.request, body=step.release, masked=masked))
        if step.is_last:
            drafts.append(entries.ended(self.request, "completed", usage))
            self.state = Closed()
        else:
            self.state = Answering(state.status, state.headers, is_started=True, usage=usage)
        return [Record(tuple(drafts)), ForwardAnswer(step.release, step.is_last)]

    def _answer_drafts(self, state: Answering, event: AnswerRead) -> list[EntryDraft]:
        drafts = []
        if not state.is_started:
            drafts.append(entries.answer_started(self.request, status=state.status, headers=state.headers))
        if event.decision is not None:
            drafts.append(entries.answer_decided(self.request, event.decision, event.step.found))
        return drafts

    def _deny_answer(self, state: Answering, event: AnswerRead, decision: Decision) -> list[Command]:
        error = replies.answer_denied(decision, session=self.request.session)
        drafts = self._answer_drafts(state, event)
        drafts.append(entries.answer_refused(self.request, code=error.code))
        drafts.append(entries.ended(self.request, "answer_denied", event.step.usage or state.usage))
        ending = CutAnswer(error) if state.is_started else Reply(error, replies.retry(False))
        return self._close(Record(tuple(drafts)), ending)

    def _collect(self, state: Answering, first: AnswerRead, event: AnswerRead) -> list[Command]:
        """Keep back an answer that is to be held; it is held as a whole, once it has ended."""
        if state.is_started:
            raise IllegalEvent("an answer that may be held was released in part")
        step = event.step
        collected = (*state.collected, step.release)
        usage = step.usage or state.usage
        if not step.is_last:
            self.state = replace(state, hold=first, collected=collected, usage=usage)
            return []
        self.state = AnswerHeld(None, usage)
        return [OpenHold(self._answer_draft(first, b"".join(collected), state, event))]

    def _answer_draft(self, first: AnswerRead, body: bytes, state: Answering, event: AnswerRead) -> HoldDraft:
        decision = first.decision
        if decision is None or not first.approvals:
            raise IllegalEvent("an answer is to be held without a decision that names an approval")
        drafts = self._answer_drafts(state, replace(event, decision=decision))
        return HoldDraft(
            id=first.new_hold,
            session=self.request.session,
            caller=self.request.caller,
            fingerprint=_digest(b"answer\0" + self.request.session.encode()),
            changes=_digest(body),
            digest=_digest(body),
            forward=body,
            api=self.request.api,
            operation="answer",
            model="",
            rule=decision.rule,
            reason=decision.reason,
            policy=decision.policy,
            approvals=first.approvals,
            entries=tuple(drafts),
        )

    def _answer_held(self, state: AnswerHeld, event: Event) -> list[Command]:
        session = self.request.session
        match event:
            case HoldAnswered(Opened(hold) | Attached(hold)):
                self.state = AnswerHeld(hold, state.usage)
                return [WatchHold(hold.id)]
            case HoldAnswered(opening):
                return self._withhold(self._not_held(opening), "answer_not_held", state.usage)
            case HoldApproved(hold):
                self.state = AnswerHeld(hold, state.usage)
                released = entries.answer_released(self.request, body=hold.forward, masked={})
                ended = entries.ended(self.request, "completed", state.usage)
                return [Consume(hold.id, hold.digest, (released, ended))]
            case HoldConsumed(is_ours=True) if state.hold is not None:
                return self._close(LeaveHold(), ForwardAnswer(state.hold.forward, is_last=True))
            case HoldConsumed(is_ours=False) if state.hold is not None:
                return self._withhold(replies.ended(state.hold, session=session), "expired", state.usage)
            case HoldEnded(hold):
                return self._withhold(replies.ended(hold, session=session), hold.state.value, state.usage)
            case WaitElapsed() if state.hold is not None:
                return self._withhold(replies.pending(state.hold, session=session), "pending", state.usage)
            case _:
                raise self._illegal(event)

    def _withhold(self, reply: Reply, outcome: str, usage: Usage | None) -> list[Command]:
        refused = entries.answer_refused(self.request, code=reply.error.code)
        record = Record((refused, entries.ended(self.request, outcome, usage)))
        return self._close(LeaveHold(), record, reply)

    def _answer_failed(self, error: AuthzError, *, is_begun: bool, status: int = 200) -> list[Command]:
        """`status` is the model's: where that is a failure, callers learn of it and retry as they would."""
        is_failure = status >= 400
        api_error = ApiError(status if is_failure else 502, error.code, str(error), self.request.session)
        refused = entries.answer_refused(self.request, code=error.code)
        record = Record((refused, entries.ended(self.request, "answer_failed")))
        headers = {} if is_failure else replies.retry(False)
        return self._close(record, CutAnswer(api_error) if is_begun else Reply(api_error, headers))

    # What can happen anywhere.

    def _left(self) -> list[Command]:
        """Envoy ended the stream. While the model has the request, Envoy does not say who broke it off:
        the caller or the model."""
        outcome = "broken_off" if isinstance(self.state, Forwarded | Answering) else "client_left"
        return self._close(LeaveHold(), self._record(entries.ended(self.request, outcome)))

    def _killed(self, event: Killed) -> list[Command]:
        """An operator ended it. That order is on record before this; here its effect is."""
        reply = replies.killed(event.reason, session=self.request.session)
        if isinstance(self.state, Undecided):
            return [LeaveHold(), *self._refuse(reply, outcome="killed", size=self._size())]
        self._is_answered = True
        is_begun = isinstance(self.state, Answering) and self.state.is_started
        usage = self.state.usage if isinstance(self.state, Answering | AnswerHeld) else None
        refused = entries.answer_refused(self.request, code=reply.error.code)
        record = Record((refused, entries.ended(self.request, "killed", usage)))
        return self._close(LeaveHold(), record, CutAnswer(reply.error) if is_begun else reply)

    def _envoy_replied(self, event: AnswerStarted) -> list[Command]:
        """Nothing was forwarded, so this is Envoy's own reply (a timeout, an overload)."""
        status = event.status if event.status >= 400 else 503
        message = f"The gateway ended this request before it was decided (status {status})."
        error = ApiError(status, "gateway_ended", message, self.request.session)
        return [LeaveHold(), *self._refuse(Reply(error), outcome="gateway_ended")]

    def _store_failed(self, event: StoreFailed) -> list[Command]:
        """What stood behind the record has not happened, be it a release or a refusal: say 503."""
        if self._is_record_in_flight:
            self.is_recorded = False
        code = event.error.code
        if self._is_answered:
            refused = entries.answer_refused(self.request, code=code)
        else:
            refused = entries.refused(self.request, code=code, status=event.error.status)
        drafts = self._drafts(refused, entries.ended(self.request, "store_failed"))
        self.state = Closed()
        reply = replies.refused(event.error, session=self.request.session)
        ending = Abort("the record could not be written") if event.answer_begun else reply
        # Envoy ends the stream once it has its answer, and with it whatever came behind.
        return [LeaveHold(), RecordLater(drafts), ending]

    def _refuse(
        self, reply: Reply, *drafts: EntryDraft, outcome: str = "refused", size: int = 0
    ) -> list[Command]:
        refused = entries.refused(self.request, code=reply.error.code, status=reply.error.status)
        ended = entries.ended(self.request, outcome)
        return self._close(self._record(*drafts, refused, ended, size=size), reply)

    def _close(self, *commands: Command) -> list[Command]:
        self.state = Closed()
        return list(commands)

    def _decided(self, judged: RequestJudged, *, body: bytes | None = None) -> EntryDraft:
        inspection = judged.inspection
        return entries.decided(
            self.request,
            judged.decision,
            model=judged.model,
            findings=inspection.findings if inspection else {},
            unread=inspection.view.unread if inspection else (),
            body=body,
        )

    def _record(self, *drafts: EntryDraft, size: int = 0) -> Record:
        return Record(self._drafts(*drafts, size=size))

    def _drafts(self, *drafts: EntryDraft, size: int = 0) -> tuple[EntryDraft, ...]:
        """The drafts, with the request's own entry before the first that is ever recorded."""
        if self.is_recorded:
            return drafts
        self.is_recorded = self._is_record_in_flight = True
        return (entries.received(self.request, size=size), *drafts)

    def _size(self) -> int:
        return len(getattr(self.state, "body", b""))

    def _illegal(self, event: Event) -> IllegalEvent:
        return IllegalEvent(f"{type(event).__name__} in state {type(self.state).__name__}")


def _is_covered(hold: Hold, judged: RequestJudged) -> bool:
    """Whether the approval counts for what the rules say now: the same bytes, the same definition.

    Noise may differ: the approved bytes go out, not those that the rules were asked about now.
    """
    inspection = judged.inspection
    if inspection is None or _digest(inspection.fingerprint) != hold.fingerprint:
        return False
    if _digest(inspection.changes) != hold.changes:
        return False
    return judged.decision.effect is Effect.ALLOW or judged.approvals == hold.approvals


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    if not left or not right:
        return left or right
    return {key: left.get(key, 0) + right.get(key, 0) for key in left.keys() | right.keys()}
