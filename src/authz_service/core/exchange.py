"""The life of one exchange: events in, commands out; every transition is in this file.

    READING ──body──> JUDGING ──allow────────────────────────> FORWARDED ──> ANSWERING ──> CLOSED
                       │  ▲                                        ▲             │ hold
                  hold │  │ gone, or another's                     │             ▼
                       ▼  │ ┌────────a grant covers it─────────────┤        ANSWER_HELD ──approved──┐
                     OPENING ──> WAITING ──approved──> REJUDGING ──> CONSUMING     ▲         ANSWER_REJUDGING
                                    │ rejected, expired, wait over                 │               │
                                    └──────────> CLOSED  (as every refusal)        │        ANSWER_CONSUMING
                                                                                   │               │
                     JUDGING ──answers may be held──> SEEKING ──there already──────┘            CLOSED

Where a rule may hold answers, JUDGING and FORWARDED lead over SEEKING: the answer may be there already, and
the whole of one that comes is kept back until it is judged as a whole.

Where limits count a request, it is ADMITTING first, between JUDGING and what comes of its decision, a
refusal too.

What holds in every state: nothing is forwarded without a `Record` (or a `Consume`, which records)
before it in the same list, or the word of an `OpenHold` that a grant covers it, which is recorded with the
release; a failed command drops the rest of its list and comes back as an event;
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
from authz_service.core.acts import AnswerHead
from authz_service.core.commands import (
    Abort,
    Admit,
    Command,
    Consume,
    CountRepeats,
    CutAnswer,
    FindAnswer,
    Forward,
    ForwardAnswer,
    GiveAnswer,
    Judge,
    JudgeAnswer,
    LeaveHold,
    MarkAnswer,
    OpenHold,
    ReadAnswer,
    Record,
    RecordLater,
    Reply,
    WatchHold,
)
from authz_service.core.events import (
    AdmissionAnswered,
    AnswerFailed,
    AnswerFound,
    AnswerJudged,
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
    ServiceStopped,
    StoreFailed,
    WaitElapsed,
)
from authz_service.core.grants import Traits
from authz_service.core.holds import Approval
from authz_service.core.limit_headers import limit_reached, room
from authz_service.core.limits import Admitted, Demand, LimitReached, Quota, estimated_answer
from authz_service.core.openings import AlreadyRejected, AnswerWanted, Attached, Granted, Opened, TooManyHolds
from authz_service.core.openings import Opening as OpenedHold
from authz_service.core.refusals import by_error, by_limit
from authz_service.core.request import Request
from authz_service.core.states import (
    Admitting,
    AnswerConsuming,
    AnswerHeld,
    Answering,
    AnswerRejudging,
    Asked,
    Closed,
    Consuming,
    Forwarded,
    Judging,
    Opening,
    Reading,
    Rejudging,
    Seeking,
    State,
    Undecided,
    Waiting,
)
from authz_service.core.stored_holds import Hold, HoldDraft, HoldState, HoldSummary
from authz_service.errors import AuthzError, Unauthenticated, Unavailable
from authz_service.framing.headers import EDITED_HEADER, MARKS, RESPONDED_HEADER
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.base import ApiError
from authz_service.policy.decision import Decision, Effect
from authz_service.view.answer import Usage
from authz_service.view.caller import Caller


class IllegalEvent(RuntimeError):
    """An event that cannot happen in this state: a bug of ours, never a caller's fault."""


class Exchange:
    """One exchange's state. Not thread-safe; `handle` is called with one event after another.

    `is_recorded`: the request's own entry exists; set before the first event where an earlier process
    recorded it and died while it was held. `waited_for` is the hold that it waited for last; it is set as
    well where that was in an earlier process. `keeps_originals`: what was there before masking goes on record
    too.
    """

    def __init__(self, request: Request, *, keeps_originals: bool = False) -> None:
        self.request = request
        self._keeps_originals = keeps_originals
        self._original: bytes | None = None
        self.state: State = Reading()
        self.is_recorded = False
        self.waited_for = ""
        self._is_record_in_flight = False
        self._is_answered = False
        self._was_superseded = False
        self._not_used: tuple[str, int] | None = None
        """The hold, and its version, whose approval could not be used last."""
        self._demand: Demand | None = None
        """What limits count it for; None where none does, and for an exchange that another process began."""
        self._answer_tokens = 0
        self._size_on_record = 0
        """Bytes of the request and of its answer."""
        self._room: Mapping[str, str] = {}
        self._kept: tuple[str, ...] = ()
        """What the answer says that the model server keeps, and is not on record yet."""

    @property
    def is_closed(self) -> bool:
        """Nothing more will be asked of the shell."""
        return isinstance(self.state, Closed)

    def handle(self, event: Event) -> list[Command]:
        """Move on, and say what is to be done now; raises `IllegalEvent`."""
        if isinstance(event, StoreFailed):
            return self._store_failed(event)
        if isinstance(event, CallerLeft) and event.is_unasked:
            return self._left_unasked()
        self._is_record_in_flight = False
        if isinstance(self.state, Closed):
            return []
        if isinstance(event, CallerLeft):
            return self._left()
        if isinstance(event, Killed):
            return self._cut_off(replies.killed(event.reason, session=self.request.session), "killed")
        if isinstance(event, ServiceStopped):
            return self._cut_off(replies.stopping(session=self.request.session), "stopped")
        if isinstance(self.state, Answering):  # before others, since an answer comes in many pieces
            return self._answering(self.state, event)
        if isinstance(self.state, Undecided):
            if isinstance(event, AnswerStarted):
                return self._envoy_replied(event)
            if isinstance(event, RequestFailed):
                return self._failed(event)
        match self.state:
            case Reading():
                return self._reading(event)
            case Judging() as state:
                return self._judging(state, event)
            case Admitting() as state:
                return self._admitting(state, event)
            case Seeking() as state:
                return self._seeking(state, event)
            case Opening() as state:
                return self._opening(state, event)
            case Waiting() as state:
                return self._waiting(state, event)
            case Rejudging() as state:
                return self._rejudging(state, event)
            case Consuming() as state:
                return self._consuming(state, event)
            case Forwarded() as state:
                return self._forwarded(state, event)
            case AnswerHeld() as state:
                return self._answer_held(state, event)
            case AnswerRejudging() as state:
                return self._answer_rejudging(state, event)
            case AnswerConsuming() as state:
                return self._answer_consuming(state, event)
            case _ as never:
                assert_never(never)

    def _failed(self, event: RequestFailed) -> list[Command]:
        reply = replies.refused(event.error, session=event.first or self.request.session)
        if event.first is not None:
            return self._close(LeaveHold(), reply)
        decided = () if event.judged is None else (self._decided(event.judged),)
        *record, reply_last = self._refuse(reply, *decided, size=self._size(), model=event.model)
        refusal = by_error(self.request, event.error, event.model)
        count = [] if refusal is None else [CountRepeats(refusal)]
        return [LeaveHold(), *record, *count, reply_last]

    # The request's side.

    def _reading(self, event: Event) -> list[Command]:
        match event:
            case BodyRead(body):
                self._size_on_record = len(body)
                self.state = Judging(body)
                return [Judge(body, self.request.caller)]
            case _:
                raise self._illegal(event)

    def _judging(self, state: Judging, event: Event) -> list[Command]:
        match event:
            case RequestJudged(decision=decision):
                if self._keeps_originals:
                    self._keep_original(_before_masking(state.body, event))
                if decision.effect is Effect.ALLOW and self.request.caller.expires_at <= event.now:
                    # Rules that hold no more: nobody approved it, and it may have waited for hours.
                    reply = replies.refused(_expired(), session=self.request.session)
                    return self._refuse(reply, self._decided(event), size=len(state.body))
                if event.demand is not None and not self.is_recorded:
                    return self._admit(state, event, event.demand)
                self._demand = event.demand
                return self._go_on(state.body, event, state.previous)
            case _:
                raise self._illegal(event)

    def _admit(self, state: Judging, judged: RequestJudged, demand: Demand) -> list[Command]:
        """Limits count it by the very entry that it begins with.

        What the rules deny too, since its body goes on record; the model will count no tokens of it.
        """
        if judged.decision.effect is Effect.DENY:
            demand = replace(demand, prompt=0, answer=0)
        self.state = Admitting(state.body, judged, state.previous)
        received = self._received(
            size=len(state.body), model=judged.model, tokens=demand.tokens, budgets=demand.budgets
        )
        self.is_recorded = self._is_record_in_flight = True
        return [Admit(demand, received)]

    def _admitting(self, state: Admitting, event: Event) -> list[Command]:
        match event:
            case AdmissionAnswered(Admitted() as admitted):
                self._demand = state.judged.demand
                self._room = room(admitted, api=self.request.api)
                return self._go_on(state.body, state.judged, state.previous)
            case AdmissionAnswered(LimitReached() as reached, first):
                self.is_recorded = False
                return self._limited(state, reached, first)
            case _:
                raise self._illegal(event)

    def _limited(self, state: Admitting, reached: LimitReached, first: str | None) -> list[Command]:
        reply = limit_reached(reached, api=self.request.api, session=first or self.request.session)
        if first is not None:
            return self._close(reply)
        limit = f"{reached.by.value}.{reached.what}"
        code, status = reply.error.code, reply.error.status
        self.is_recorded = True
        self._original = None  # nothing of its body is kept, or limits would not bound what is on record
        received = self._received(size=len(state.body), model=state.judged.model, tokens=0)
        refused = entries.refused(self.request, code=code, status=status, limit=limit)
        ended = entries.ended(self.request, "limited")
        count = CountRepeats(by_limit(self.request, reached, state.judged.model))
        return self._close(Record((received, refused, ended)), count, reply)

    def _go_on(self, body: bytes, judged: RequestJudged, previous: str | None) -> list[Command]:
        if judged.decision.effect is Effect.DENY:
            return self._deny(body, judged)
        if judged.holds_answers:
            return self._seek(body, judged, previous)
        return self._allow_or_hold(body, judged, previous=previous)

    def _allow_or_hold(self, body: bytes, judged: RequestJudged, *, previous: str | None) -> list[Command]:
        if judged.decision.effect is Effect.ALLOW:
            return self._allow(body, judged)
        return self._open_hold(body, judged, judged.approvals, previous=previous)

    def _seek(self, body: bytes, judged: RequestJudged, previous: str | None) -> list[Command]:
        """Before the model is asked: its answer to the same request may be there, waiting for people."""
        asked = _asked(judged)
        if asked is None:
            raise self._illegal(judged)
        self.state = Seeking(body, judged, previous, was_recorded=self.is_recorded)
        drafts = self._drafts(self._decided(judged), size=len(body))
        wanted = AnswerWanted(
            self.request.session, self.request.caller, _answer_fingerprint(asked), asked.changes, drafts
        )
        return [FindAnswer(wanted)]

    def _seeking(self, state: Seeking, event: Event) -> list[Command]:
        match event:
            case AnswerFound(None):
                self.is_recorded = state.was_recorded
                return self._allow_or_hold(state.body, state.judged, previous=state.previous)
            case AnswerFound(AlreadyRejected(hold)):
                return self._refuse(replies.ended(hold, session=self.request.session))
            case AnswerFound(Attached(hold)):
                asked = _asked(state.judged)
                assert asked is not None  # or nothing would have been sought
                return self._wait_for_answer(AnswerHeld(asked, None), hold)
            case _:
                raise self._illegal(event)

    def _allow(self, body: bytes, judged: RequestJudged) -> list[Command]:
        forward = judged.inspection.forward if judged.inspection else body
        released = entries.released(self.request, model=judged.model, body=forward)
        decided = self._decided(judged)
        self.state = Forwarded(_asked(judged))
        record = self._record(decided, released, size=len(body), ends=self.waited_for)
        return [record, Forward(forward, judged.model, self._room)]

    def _deny(self, body: bytes, judged: RequestJudged) -> list[Command]:
        redacted = judged.inspection.redacted if judged.inspection else None
        reply = replies.denied(judged.decision, session=self.request.session)
        decided = self._decided(judged, body=redacted)
        return self._refuse(reply, decided, outcome="denied", size=len(body), ends=self.waited_for)

    def _open_hold(
        self,
        body: bytes,
        judged: RequestJudged,
        approvals: tuple[Approval, ...],
        *,
        previous: str | None = None,
        replaces: str | None = None,
        as_now: bool = True,
    ) -> list[Command]:
        """`as_now`: the rules were asked about the caller as they are, or no grant may answer for them."""
        if judged.inspection is None or not approvals:
            raise self._illegal(judged)
        inspection = judged.inspection
        is_asked_for = judged.decision.effect is Effect.HOLD and approvals == judged.approvals
        may_be_granted = is_asked_for and replaces is None
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
            source=self.request.source,
            replaces=replaces,
            traits=_traits(judged.decision, inspection) if may_be_granted else None,
            release=entries.released(self.request, model=judged.model, body=inspection.forward)
            if may_be_granted and as_now
            else None,
            quotas=self._quotas(),
        )
        self.state = Opening(body, judged)
        return [OpenHold(draft)]

    def _opening(self, state: Opening, event: Event) -> list[Command]:
        match event:
            case HoldAnswered(Opened(hold) | Attached(hold)):
                self.waited_for = hold.id
                if self._is_not_borne_out(hold):
                    return self._refuse(replies.not_borne_out(hold, session=self.request.session))
                if self._goes_at_once(hold):
                    return self._wait_elapsed(hold)
                self.state = Waiting(state.body, hold)
                return [self._watch(hold)]
            case HoldAnswered(Granted()) if state.judged.inspection is not None:
                self.state = Forwarded(_asked(state.judged))
                return [Forward(state.judged.inspection.forward, state.judged.model, self._room)]
            case HoldAnswered(opening):
                return self._refuse(self._not_held(opening), limit=_limit_of(opening))
            case _:
                raise self._illegal(event)

    def _is_not_borne_out(self, hold: HoldSummary) -> bool:
        """Whether this is the approval that could not be used, as it was: it would be tried for ever."""
        return hold.state is HoldState.APPROVED and (hold.id, hold.version) == self._not_used

    def _not_held(self, opening: OpenedHold) -> Reply:
        session = self.request.session
        match opening:
            case AlreadyRejected(hold):
                return replies.ended(hold, session=session)
            case TooManyHolds(limit):
                return replies.too_many(limit, session=session)
            case LimitReached() as reached:
                return limit_reached(reached, api=self.request.api, session=session)
            case Opened() | Attached() | Granted():
                raise IllegalEvent("what goes on was taken for a refusal")
            case _ as never:
                assert_never(never)

    def _goes_at_once(self, hold: HoldSummary) -> bool:
        """Whether the caller prefers not to wait; for an approval that is there it need not."""
        prefer = self.request.prefer
        is_at_once = prefer.wait == 0 or (prefer.is_async and prefer.wait is None)
        return is_at_once and hold.state is HoldState.PENDING

    def _watch(self, hold: HoldSummary) -> WatchHold:
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
        caller = self._releases_to(hold, now)
        if caller is None:
            reply = replies.token_expired(hold, session=self.request.session)
            return [LeaveHold(), *self._refuse(reply, outcome="token_expired")]
        self.state = Rejudging(body, hold)
        return [Judge(body, caller)]

    def _releases_to(self, hold: HoldSummary, now: float) -> Caller | None:
        """The identity that the rules are asked about at a release; None where its token has expired."""
        caller = self._release_identity(hold)
        return caller if _is_snapshot(hold) or caller.expires_at > now else None

    def _release_identity(self, hold: HoldSummary) -> Caller:
        return hold.caller if _is_snapshot(hold) else self.request.caller

    def _hold_ended(self, body: bytes, hold: HoldSummary) -> list[Command]:
        if hold.state is HoldState.KILLED:  # and the order to end this exchange has not come
            reply = replies.killed("", session=self.request.session)
            return [LeaveHold(), *self._refuse(reply, outcome=hold.state.value)]
        if hold.state in (HoldState.REJECTED, HoldState.EXPIRED):
            reply = replies.ended(hold, session=self.request.session)
            return [LeaveHold(), *self._refuse(reply, outcome=hold.state.value)]
        if hold.state is HoldState.SUPERSEDED and not hold.is_under_grant:
            if self._was_superseded:
                # Or two of them, sent under two identities of one person, would take turns for ever.
                reply = replies.superseded(hold, session=self.request.session)
                return [LeaveHold(), *self._refuse(reply, outcome=hold.state.value)]
            self._was_superseded = True
        return self._judge_anew(body, hold)

    def _judge_anew(self, body: bytes, hold: HoldSummary) -> list[Command]:
        self.state = Judging(body, previous=hold.id)
        return [LeaveHold(), Judge(body, self.request.caller)]

    def _approval_lost(self, body: bytes, hold: Hold) -> list[Command]:
        """Another exchange has used it, it was taken back, or the votes do not say what the hold does."""
        self._not_used = hold.id, hold.version
        return self._judge_anew(body, hold)

    def _wait_elapsed(self, hold: HoldSummary) -> list[Command]:
        ended = self._ended("pending")
        return self._close(LeaveHold(), self._record(ended), self._pending(hold))

    def _rejudging(self, state: Rejudging, event: Event) -> list[Command]:
        match event:
            case RequestJudged(decision=decision):
                if decision.effect is Effect.DENY:
                    return [LeaveHold(), *self._deny(state.body, event)]
                if state.original is not None:
                    return self._edit_rejudged(state, state.original, event)
                if not _is_covered(state.hold, event):
                    return self._hold_anew(state.body, state.hold, event, event.approvals)
                if state.hold.is_response:
                    return self._respond(state, event)
                if state.hold.is_edited:
                    self.state = replace(state, original=event)
                    return [Judge(state.hold.forward, self._release_identity(state.hold), is_edited=True)]
                return self._consume(state, event)
            case _:
                raise self._illegal(event)

    def _hold_anew(
        self,
        body: bytes,
        hold: Hold,
        judged: RequestJudged,
        approvals: tuple[Approval, ...],
        *,
        replaces: str | None = None,
    ) -> list[Command]:
        """What was approved is not what the rules of now ask about."""
        approvals = approvals or hold.approvals
        as_now = self._release_identity(hold) == self.request.caller
        opened = self._open_hold(body, judged, approvals, previous=hold.id, replaces=replaces, as_now=as_now)
        return [LeaveHold(), *opened]

    def _edit_rejudged(
        self, state: Rejudging, original: RequestJudged, edited: RequestJudged
    ) -> list[Command]:
        hold, inspection = state.hold, edited.inspection
        is_permitted = edited.decision.effect is Effect.ALLOW or edited.approvals == hold.approvals
        is_same = inspection is not None and inspection.forward == hold.forward
        if not is_permitted or not is_same or edited.model != hold.model:
            # Of the request as it came: what others are asked about, nobody has edited.
            return self._hold_anew(state.body, hold, original, edited.approvals, replaces=hold.id)
        return self._consume(state, original, self._decided(edited))

    def _consume(self, state: Rejudging, judged: RequestJudged, *more: EntryDraft) -> list[Command]:
        hold = state.hold
        released = entries.released(
            self.request, model=hold.model, body=hold.forward, hold=hold.id, is_edited=hold.is_edited
        )
        drafts = self._drafts(self._decided(judged), *more, released, size=len(state.body))
        asked = _asked(judged)
        self.state = Consuming(state.body, hold, replace(asked, marks=_marks(hold)) if asked else None)
        return [Consume(hold.id, hold.digest, drafts)]

    def _respond(self, state: Rejudging, judged: RequestJudged) -> list[Command]:
        """A reviewer has answered: the rules for answers are asked about that, and not the model."""
        held = AnswerHeld(_asked(judged), state.hold, request=(state.body, judged))
        self.state = AnswerRejudging(held, state.hold)
        return [JudgeAnswer(state.hold, self._release_identity(state.hold))]

    def _consuming(self, state: Consuming, event: Event) -> list[Command]:
        match event:
            case HoldConsumed(is_ours=True):
                self.state = Forwarded(state.asked)
                forward = Forward(state.hold.forward, state.hold.model, {**self._room, **_marks(state.hold)})
                return [LeaveHold(), forward]
            case HoldConsumed(is_ours=False):
                return self._approval_lost(state.body, state.hold)
            case _:
                raise self._illegal(event)

    # The answer's side.

    def _forwarded(self, state: Forwarded, event: Event) -> list[Command]:
        self._is_answered = True
        match event:
            case AnswerStarted(status, headers, is_last):
                self.state = Answering(status, headers, asked=state.asked)
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
        if self._demand is not None and event.step.release:
            content_type = state.headers.get("content-type", "")
            self._answer_tokens += estimated_answer(event.step.release, content_type)
        self._size_on_record += len(event.step.release)
        if event.original is not None:
            self._size_on_record += len(event.original)
        if event.kept:
            self._kept += event.kept
        decision = event.decision
        if decision is not None and decision.effect is Effect.DENY:
            return self._deny_answer(state, event, decision)
        if state.asked is not None:
            return self._collect(state, state.asked, event)
        if decision is not None and decision.effect is Effect.HOLD:
            # A rule that was not there when the request was judged: what people would see is not all there.
            message = "The rules for answers have changed while this one came; send the request again."
            error = Unavailable(message, code="rules_changed")
            return self._answer_failed(error, is_begun=state.is_started)
        return self._release_answer(state, event)

    def _release_answer(self, state: Answering, event: AnswerRead) -> list[Command]:
        step = event.step
        usage = step.usage or state.usage
        masked = _sum(state.masked, step.masked)
        restored = _sum(state.restored, step.restored) if step.restored else state.restored
        if not step.release and not step.is_last:
            self.state = Answering(
                state.status, state.headers, state.is_started, usage=usage, masked=masked, restored=restored
            )
            return []
        drafts = self._answer_drafts(state, event)
        if self._kept:
            drafts.append(self._whose())
        if step.release or event.original:
            drafts.append(
                entries.answer_released(
                    self.request,
                    body=step.release,
                    masked=masked,
                    restored=restored,
                    original=event.original,
                )
            )
        if step.is_last:
            drafts.append(self._ended("completed", usage, is_whole=True))
            self.state = Closed()
        else:
            self.state = Answering(state.status, state.headers, is_started=True, usage=usage)
        return [Record(tuple(drafts)), ForwardAnswer(step.release, step.is_last)]

    def _answer_drafts(self, state: Answering, event: AnswerRead) -> list[EntryDraft]:
        drafts = []
        if not state.is_started:
            drafts.append(entries.answer_started(self.request, status=state.status, headers=state.headers))
        if event.decision is not None:
            found = event.found or event.step.found
            drafts.append(entries.answer_decided(self.request, event.decision, found))
        return drafts

    def _whose(self) -> EntryDraft:
        """That what the model server keeps is the caller's, before they can know what it is called."""
        names, self._kept = self._kept, ()
        return entries.answer_kept(self.request, names)

    def _deny_answer(self, state: Answering, event: AnswerRead, decision: Decision) -> list[Command]:
        error = replies.answer_denied(decision, session=self.request.session)
        drafts = self._answer_drafts(state, event)
        original = _joined(state.originals, event.original)
        drafts.append(entries.answer_refused(self.request, code=error.code, original=original))
        drafts.append(self._ended("answer_denied", event.step.usage or state.usage))
        ending = CutAnswer(error) if state.is_started else Reply(error, replies.retry(False))
        return self._close(Record(tuple(drafts)), ending)

    def _collect(self, state: Answering, asked: Asked, event: AnswerRead) -> list[Command]:
        """Keep back an answer that may be held, until all of it is there and was judged."""
        step = event.step
        collected = (*state.collected, step.release if step.said is None else step.said)
        given = None if step.said is None else (*(state.given or ()), step.release)
        restored = _sum(state.restored, step.restored) if step.restored else state.restored
        originals = state.originals
        if self._keeps_originals:
            originals = (*originals, step.release if event.original is None else event.original)
        usage = step.usage or state.usage
        masked = _sum(state.masked, step.masked)
        is_to_hold = event.decision is not None and event.decision.effect is Effect.HOLD
        hold = event if is_to_hold else state.hold
        if not step.is_last:
            self.state = replace(
                state,
                hold=hold,
                collected=collected,
                originals=originals,
                usage=usage,
                masked=masked,
                given=given,
                restored=restored,
            )
            return []
        body = b"".join(collected if hold is not None or given is None else given)
        sent = b"".join(originals)
        original = sent if self._keeps_originals and sent != body else None
        if hold is not None:
            head = AnswerHead(state.status, {**state.headers, **asked.marks}, masked)
            return self._hold_answer(AnswerHeld(asked, None, head, usage), hold, body, original)
        whole = replace(state, usage=usage, masked=masked, restored=restored)
        step = step._replace(release=body, masked={}, restored=None)
        return self._release_answer(whole, replace(event, step=step, original=original))

    def _hold_answer(
        self, held: AnswerHeld, judged: AnswerRead, body: bytes, original: bytes | None
    ) -> list[Command]:
        if judged.decision is None or held.head is None or held.asked is None:
            raise self._illegal(judged)
        started = entries.answer_started(self.request, status=held.head.status, headers=held.head.headers)
        decided = entries.answer_decided(self.request, judged.decision, judged.found, original)
        draft = self._answer_draft(
            held.asked,
            held.head,
            body,
            judged.decision,
            judged.approvals,
            id=judged.new_hold,
            found=judged.found,
            drafts=(started, decided, self._whose()) if self._kept else (started, decided),
        )
        self.state = replace(held, unasked=draft.entries)
        return [OpenHold(draft)]

    def _answer_draft(
        self,
        asked: Asked,
        head: AnswerHead,
        body: bytes,
        decision: Decision,
        approvals: tuple[Approval, ...],
        *,
        id: str,
        found: Mapping[str, int],
        drafts: tuple[EntryDraft, ...],
        replaces: Hold | None = None,
    ) -> HoldDraft:
        if not approvals:
            raise IllegalEvent("an answer is to be held without a decision that names an approval")
        return HoldDraft(
            id=id,
            session=self.request.session,
            caller=self.request.caller,
            fingerprint=_answer_fingerprint(asked),
            changes=asked.changes,
            digest=_digest(body),
            forward=body,
            api=self.request.api,
            operation=asked.operation,
            model=asked.model,
            rule=replaces.rule if replaces and decision.effect is Effect.ALLOW else decision.rule,
            reason=decision.reason,
            policy=decision.policy,
            approvals=approvals,
            findings=found,
            entries=drafts,
            answer=head,
            previous=replaces.id if replaces else None,
            replaces=replaces.id if replaces else None,
            source=self.request.source,
            quotas=self._quotas(),
        )

    def _quotas(self) -> tuple[Quota, ...]:
        """Those that say how many holds may pend."""
        if self._demand is None:
            return ()
        return tuple(quota for quota in self._demand.quotas if quota.rates.open_holds is not None)

    def _answer_held(self, state: AnswerHeld, event: Event) -> list[Command]:
        match event:
            case HoldAnswered(Opened(hold)):
                return self._wait_for_answer(state, hold)
            case HoldAnswered(Attached(hold)):
                if not _is_alike(state.head, hold.answer):
                    return self._withhold(state, self._pending(hold), "pending")
                return self._wait_for_answer(state, hold)
            case HoldAnswered(opening):
                return self._withhold(state, self._not_held(opening), "answer_not_held")
            case HoldApproved(hold, now):
                return self._answer_approved(state, hold, now)
            case HoldEnded(hold):
                return self._withhold(state, self._answer_ended(hold), hold.state.value)
            case WaitElapsed() if state.hold is not None:
                return self._withhold(state, self._pending(state.hold), "pending")
            case AnswerStarted() if state.head is None:
                return self._envoy_replied(event)
            case _:
                raise self._illegal(event)

    def _wait_for_answer(self, held: AnswerHeld, hold: HoldSummary) -> list[Command]:
        self.waited_for = hold.id
        if self._goes_at_once(hold):
            return self._withhold(held, self._pending(hold), "pending")
        self.state = replace(held, hold=hold, unasked=())
        return [replace(self._watch(hold), is_answer=True)]

    def _pending(self, hold: HoldSummary) -> Reply:
        return replies.pending(hold, session=self.request.session, prefer=self.request.prefer)

    def _answer_ended(self, hold: HoldSummary) -> Reply:
        session = self.request.session
        if hold.state in (HoldState.REJECTED, HoldState.EXPIRED):
            return replies.ended(hold, session=session)
        if hold.state is HoldState.SUPERSEDED:
            return replies.superseded(hold, session=session)
        if hold.state is HoldState.KILLED:
            return replies.killed("", session=session)
        return replies.answer_given(hold, session=session)

    def _answer_approved(self, held: AnswerHeld, hold: Hold, now: float) -> list[Command]:
        caller = self._releases_to(hold, now)
        if caller is None:
            reply = replies.token_expired(hold, session=self.request.session)
            return self._withhold(held, reply, "token_expired")
        self.state = AnswerRejudging(held, hold)
        return [JudgeAnswer(hold, caller)]

    def _answer_rejudging(self, state: AnswerRejudging, event: Event) -> list[Command]:
        held, hold, session = state.held, state.hold, self.request.session
        match event:
            case AnswerFailed(error):
                return self._withhold(held, replies.refused(error, session=session), "refused")
            case AnswerJudged(decision=decision):
                decided = entries.answer_decided(self.request, decision, event.found)
                first = () if held.request is None else (self._decided(held.request[1]),)
                decided_on = (*first, decided)
                if decision.effect is Effect.DENY:
                    reply = Reply(replies.answer_denied(decision, session=session), replies.retry(False))
                    return self._withhold(held, reply, "answer_denied", *decided_on)
                is_covered = decision.effect is Effect.ALLOW or event.approvals == hold.approvals
                if not is_covered or event.body != hold.forward or hold.answer is None:
                    return self._hold_answer_anew(held, hold, event, decided)
                return self._consume_answer(held, hold, hold.answer, event, decided_on)
            case _:
                raise self._illegal(event)

    def _hold_answer_anew(
        self, held: AnswerHeld, hold: Hold, event: AnswerJudged, decided: EntryDraft
    ) -> list[Command]:
        """The approval was of other bytes, or by other people than the rules of now ask for."""
        if held.request is not None:
            body, judged = held.request
            return self._hold_anew(body, hold, judged, event.approvals, replaces=hold.id)
        if hold.answer is None or held.asked is None:
            raise self._illegal(event)
        self.state = replace(held, hold=None, unasked=(decided,))
        draft = self._answer_draft(
            held.asked,
            replace(
                hold.answer,
                headers={**hold.answer.headers, **_marks(hold)},
                masked=_sum(hold.answer.masked, event.masked),
            ),
            event.body,
            event.decision,
            event.approvals or hold.approvals,
            id=event.new_hold,
            found=event.found,
            drafts=(decided,),
            replaces=hold,
        )
        return [LeaveHold(), OpenHold(draft)]

    def _consume_answer(
        self,
        held: AnswerHeld,
        hold: Hold,
        head: AnswerHead,
        judged: AnswerJudged,
        decided: tuple[EntryDraft, ...],
    ) -> list[Command]:
        released = entries.answer_released(
            self.request,
            body=judged.given,
            masked=head.masked,
            restored=judged.restored,
            hold=hold.id,
            is_response=RESPONDED_HEADER in _answer_marks(hold),
            is_edited=EDITED_HEADER in _answer_marks(hold),
        )
        outcome = "responded" if RESPONDED_HEADER in _answer_marks(hold) else "completed"
        if held.head is None:
            self._size_on_record += len(judged.given)
        drafts = [*decided, released, self._ended(outcome, held.usage, is_whole=True)]
        if held.head is None:
            started = entries.answer_started(self.request, status=head.status, headers=head.headers)
            drafts.insert(len(decided) - 1, started)
        self.state = AnswerConsuming(held, hold, judged.given)
        return [Consume(hold.id, hold.digest, self._drafts(*drafts))]

    def _answer_consuming(self, state: AnswerConsuming, event: Event) -> list[Command]:
        hold = state.hold
        match event:
            case HoldConsumed(is_ours=True) if hold.answer is not None:
                marks = _answer_marks(hold)
                given = {**self._room, **marks}
                is_models = RESPONDED_HEADER not in marks and _is_alike(state.held.head, hold.answer)
                if state.held.head is None or not is_models:
                    return self._close(LeaveHold(), GiveAnswer(hold.answer, state.body, given))
                mark = [MarkAnswer(marks)] if marks else []
                return self._close(LeaveHold(), *mark, ForwardAnswer(state.body, is_last=True))
            case HoldConsumed(is_ours=False) if state.held.request is not None:
                return self._approval_lost(state.held.request[0], hold)
            case HoldConsumed(is_ours=False):
                reply = replies.answer_given(hold, session=self.request.session)
                return self._withhold(state.held, reply, "approval_lost")
            case _:
                raise self._illegal(event)

    def _withhold(self, held: AnswerHeld, reply: Reply, outcome: str, *drafts: EntryDraft) -> list[Command]:
        if held.head is None:
            return [LeaveHold(), *self._refuse(reply, *drafts, outcome=outcome)]
        refused = entries.answer_refused(self.request, code=reply.error.code)
        record = Record((*drafts, refused, self._ended(outcome, held.usage, is_whole=True)))
        return self._close(LeaveHold(), record, reply)

    def _answer_failed(self, error: AuthzError, *, is_begun: bool, status: int = 200) -> list[Command]:
        """`status` is the model's: where that is a failure, callers learn of it and retry as they would."""
        is_failure = status >= 400
        api_error = ApiError(status if is_failure else 502, error.code, str(error), self.request.session)
        refused = entries.answer_refused(self.request, code=error.code)
        record = Record((refused, self._ended("answer_failed")))
        headers = {} if is_failure else replies.retry(False)
        return self._close(record, CutAnswer(api_error) if is_begun else Reply(api_error, headers))

    # What can happen anywhere.

    @property
    def can_be_resumed(self) -> bool:
        """Nothing was forwarded and nothing answered: another process may begin it anew."""
        held = self._held_answer()
        return held.head is None if held is not None else isinstance(self.state, Undecided)

    def _held_answer(self) -> AnswerHeld | None:
        match self.state:
            case AnswerHeld() as held:
                return held
            case AnswerRejudging(held=held) | AnswerConsuming(held=held):
                return held
            case _:
                return None

    def _left(self) -> list[Command]:
        """Envoy ended the stream. While the model has the request, Envoy does not say who broke it off:
        the caller or the model."""
        outcome = "broken_off" if isinstance(self.state, Forwarded | Answering) else "client_left"
        return self._close(LeaveHold(), self._record(self._ended(outcome)))

    def _left_unasked(self) -> list[Command]:
        """The same before the store was asked: what it was to record comes before the end."""
        if self._is_record_in_flight:
            self.is_recorded = False
        if isinstance(self.state, AnswerHeld):
            ended = self._ended("client_left", self.state.usage, is_whole=True)
            return self._close(self._record(*self.state.unasked, ended))
        if not isinstance(self.state, Opening):
            return self._left()
        inspection = self.state.judged.inspection
        decided = self._decided(self.state.judged, body=None if inspection is None else inspection.redacted)
        return self._close(self._record(decided, self._ended("client_left"), size=self._size()))

    def _cut_off(self, reply: Reply, outcome: str) -> list[Command]:
        """An operator ended it (that order is on record before this; here its effect is), or the process
        ends."""
        held = self._held_answer()
        if held is not None:
            return self._withhold(held, reply, outcome)
        if isinstance(self.state, Undecided):
            return [LeaveHold(), *self._refuse(reply, outcome=outcome, size=self._size())]
        self._is_answered = True
        is_begun = isinstance(self.state, Answering) and self.state.is_started
        usage = self.state.usage if isinstance(self.state, Answering) else None
        refused = entries.answer_refused(self.request, code=reply.error.code)
        record = Record((refused, self._ended(outcome, usage)))
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
        drafts = self._drafts(refused, self._ended("store_failed"))
        self.state = Closed()
        reply = replies.refused(event.error, session=self.request.session)
        ending = Abort("the record could not be written") if event.answer_begun else reply
        # Envoy ends the stream once it has its answer, and with it whatever came behind.
        return [LeaveHold(), RecordLater(drafts), ending]

    def _refuse(
        self,
        reply: Reply,
        *drafts: EntryDraft,
        outcome: str = "refused",
        size: int = 0,
        limit: str = "",
        model: str = "",
        ends: str = "",
    ) -> list[Command]:
        code, status = reply.error.code, reply.error.status
        refused = entries.refused(self.request, code=code, status=status, limit=limit, model=model)
        ended = self._ended(outcome)
        return self._close(self._record(*drafts, refused, ended, size=size, ends=ends), reply)

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

    def _record(self, *drafts: EntryDraft, size: int = 0, ends: str = "") -> Record:
        return Record(self._drafts(*drafts, size=size), ends)

    def _drafts(self, *drafts: EntryDraft, size: int = 0) -> tuple[EntryDraft, ...]:
        """The drafts, with the request's own entry before the first that is ever recorded."""
        if self.is_recorded:
            return drafts
        self.is_recorded = self._is_record_in_flight = True
        return (self._received(size=size), *drafts)

    def _keep_original(self, body: bytes | None) -> None:
        if self._original is None and body is not None:
            self._size_on_record += len(body)
        self._original = body

    def _received(
        self,
        *,
        size: int,
        model: str | None = None,
        tokens: int | None = None,
        budgets: tuple[str, ...] = (),
    ) -> EntryDraft:
        received = entries.received(self.request, size=size, model=model, tokens=tokens, budgets=budgets)
        return entries.with_original(received, self._original) if self._keeps_originals else received

    def _ended(self, outcome: str, usage: Usage | None = None, *, is_whole: bool = False) -> EntryDraft:
        """The end. Where limits count it, and not all of it is known from the model, with an estimate."""
        size = self._size_on_record
        if self._demand is None or (is_whole and usage is not None):
            return entries.ended(self.request, outcome, usage, size=size)
        if not (self._is_answered or isinstance(self.state, Forwarded)):
            return entries.ended(self.request, outcome, usage, 0, size=size)
        said = usage
        if said is None and isinstance(self.state, Answering):
            said = self.state.usage  # what it began with, which is not all of what it cost
        least = 0 if said is None else said.prompt_tokens + said.completion_tokens
        tokens = max(least, self._demand.prompt + self._answer_tokens)
        return entries.ended(self.request, outcome, usage, tokens, size=size)

    def _size(self) -> int:
        return len(getattr(self.state, "body", b""))

    def _illegal(self, event: Event) -> IllegalEvent:
        return IllegalEvent(f"{type(event).__name__} in state {type(self.state).__name__}")


def _limit_of(opening: OpenedHold) -> str:
    """The limit that keeps a hold from being opened, as entries have it; "" for another reason."""
    return f"{opening.by.value}.{opening.what}" if isinstance(opening, LimitReached) else ""


def _expired() -> Unauthenticated:
    return Unauthenticated("the token has expired; get a new one", code="token_expired")


def _is_covered(hold: HoldSummary, judged: RequestJudged) -> bool:
    """Whether the approval counts for what the rules say now: the same bytes, the same definition.

    Noise may differ: the approved bytes go out, not those that the rules were asked about now.
    """
    inspection = judged.inspection
    if inspection is None or _digest(inspection.fingerprint) != hold.fingerprint:
        return False
    if _digest(inspection.changes) != hold.changes:
        return False
    return judged.decision.effect is Effect.ALLOW or judged.approvals == hold.approvals


def _asked(judged: RequestJudged) -> Asked | None:
    """What recognises the request, where its answer may have to wait: to make it takes its time."""
    inspection = judged.inspection
    if not judged.holds_answers or inspection is None:
        return None
    fingerprint, changes = _digest(inspection.fingerprint), _digest(inspection.changes)
    return Asked(fingerprint, changes, inspection.operation.name, judged.model)


def _traits(decision: Decision, inspection: RequestInspection) -> Traits:
    """What a grant asks about, of a request that is held."""
    holding = {outcome.rule for outcome in decision.outcomes if outcome.is_hold}
    view = inspection.view
    return Traits(
        rules=tuple(sorted(holding or {decision.rule})),
        tools=tuple(sorted(set(view.tools))),
        unread=tuple(sorted({kind.value for unread in view.unread for kind in unread.needs})),
        template=_digest(inspection.template),
    )


def _is_snapshot(hold: HoldSummary) -> bool:
    return all(approval.snapshot for approval in hold.approvals)


def _marks(hold: HoldSummary) -> Mapping[str, str]:
    """What the caller is told of a reviewer's part in it."""
    if hold.is_response:
        return {RESPONDED_HEADER: "true"}
    return {EDITED_HEADER: "true"} if hold.is_edited else {}


def _answer_marks(hold: HoldSummary) -> Mapping[str, str]:
    """The same of an answer: one whose request was edited, or that was held anew, has it in its head."""
    head = hold.answer.headers if hold.answer else {}
    return _marks(hold) or {name: text for name, text in head.items() if name in MARKS}


def _answer_fingerprint(asked: Asked) -> str:
    return _digest(b"answer\0" + asked.fingerprint.encode())


def _is_alike(head: AnswerHead | None, other: AnswerHead | None) -> bool:
    """Whether the one's body can follow upon the other's head."""
    if head is None or other is None:
        return head is None
    return (head.status, head.headers.get("content-type")) == (
        other.status,
        other.headers.get("content-type"),
    )


def _before_masking(body: bytes, judged: RequestJudged) -> bytes | None:
    """The body as it came, where what is kept of it is not that."""
    inspection = judged.inspection
    if inspection is None:
        return None
    if judged.decision.effect is Effect.DENY:
        return body if inspection.redacted != body else None
    return body if inspection.masked else None


def _joined(originals: tuple[bytes, ...], last: bytes | None) -> bytes | None:
    """What the model sent of an answer of which nothing more goes on; None where that is not kept."""
    return b"".join((*originals, last or b"")) if originals or last else None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sum(left: Mapping[str, int], right: Mapping[str, int]) -> Mapping[str, int]:
    if not left or not right:
        return left or right
    return {key: left.get(key, 0) + right.get(key, 0) for key in left.keys() | right.keys()}
