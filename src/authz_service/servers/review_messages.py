"""Translates holds and sessions into the messages of authz.v1."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import common_pb2, holds_pb2, sessions_pb2
from authz_service.audit.retention import ORIGINAL
from authz_service.core.acts import Act, ActKind, AnswerHead, Review
from authz_service.core.business_hours import Hours
from authz_service.core.holds import Stage, StageRef, Turn, Verdict, Vote
from authz_service.core.sessions import Entry, Session
from authz_service.core.stored_holds import HoldState, HoldSummary
from authz_service.view.caller import Caller
from authz_service.view.pointer import pointer
from authz_service.view.request import Path
from authz_service.view.unread import Unread

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of a message: a held body, or a piece of a session."""
LARGEST_SHOWN = 60 * 1024 * 1024
"""Bytes of payloads in one entry's message: below `MAX_ANSWER`, with what else goes with it."""

STATES: dict[HoldState, holds_pb2.HoldState.ValueType] = {
    HoldState.PENDING: holds_pb2.HOLD_STATE_PENDING,
    HoldState.APPROVED: holds_pb2.HOLD_STATE_APPROVED,
    HoldState.RELEASED: holds_pb2.HOLD_STATE_RELEASED,
    HoldState.REJECTED: holds_pb2.HOLD_STATE_REJECTED,
    HoldState.EXPIRED: holds_pb2.HOLD_STATE_EXPIRED,
    HoldState.SUPERSEDED: holds_pb2.HOLD_STATE_SUPERSEDED,
    HoldState.KILLED: holds_pb2.HOLD_STATE_KILLED,
}
REVIEWS: dict[Review, holds_pb2.ReviewState.ValueType] = {
    Review.NONE: holds_pb2.REVIEW_STATE_UNSPECIFIED,
    Review.DUE: holds_pb2.REVIEW_STATE_DUE,
    Review.DONE: holds_pb2.REVIEW_STATE_DONE,
}
_ACTS = {
    ActKind.CLAIM: holds_pb2.ACT_KIND_CLAIM,
    ActKind.UNCLAIM: holds_pb2.ACT_KIND_UNCLAIM,
    ActKind.COMMENT: holds_pb2.ACT_KIND_COMMENT,
    ActKind.WITHDRAW: holds_pb2.ACT_KIND_WITHDRAW,
    ActKind.REVIEW: holds_pb2.ACT_KIND_REVIEW,
    ActKind.EDIT: holds_pb2.ACT_KIND_EDIT,
    ActKind.RESPOND: holds_pb2.ACT_KIND_RESPOND,
}
_VERDICTS = {Verdict.APPROVE: holds_pb2.VERDICT_APPROVE, Verdict.REJECT: holds_pb2.VERDICT_REJECT}


def hold_message(
    hold: HoldSummary,
    *,
    waiting: int,
    may_vote_in: tuple[StageRef, ...],
    forward: bytes = b"",
    unread: Sequence[Unread] = (),
    concealed: Mapping[str, int] | None = None,
) -> holds_pb2.Hold:
    """A hold as one reviewer sees it; where bytes are shown, with what in them is unread, or concealed."""
    return holds_pb2.Hold(
        id=safe_text(hold.id),
        session=safe_text(hold.session),
        state=STATES[hold.state],
        version=hold.version,
        caller=_caller(hold.caller),
        api=safe_text(hold.api),
        operation=safe_text(hold.operation),
        model=safe_text(hold.model),
        rule=safe_text(hold.rule),
        reason=safe_text(hold.reason),
        policy=safe_text(hold.policy),
        findings={safe_text(entity): count for entity, count in hold.findings.items()},
        digest=safe_text(hold.digest),
        forward=forward,
        created_at=timestamp(hold.created_at),
        deadline=timestamp(hold.deadline),
        stages=_stages(hold),
        votes=[vote_message(vote) for vote in hold.votes],
        waiting=waiting,
        previous=safe_text(hold.previous or ""),
        released_to=safe_text(hold.released_to or ""),
        superseded_by=safe_text(hold.superseded_by),
        may_vote_in=[ref_message(ref) for ref in may_vote_in],
        unread=[_unread(value) for value in unread],
        answer=None if hold.answer is None else _answer(hold.answer),
        acts=[_act(act) for act in hold.acts],
        is_edited=hold.is_edited,
        is_response=hold.is_response,
        claim=_act(hold.claim) if hold.claim else None,
        review=REVIEWS[hold.review],
        is_due_soon=hold.is_due_soon,
        source=safe_text(hold.source),
        concealed=concealed,
    )


def session_message(session: Session) -> sessions_pb2.Session:
    """A session's columns; what is unknown stays absent."""
    return sessions_pb2.Session(
        id=safe_text(session.id),
        caller=_caller(session.caller) if session.caller else None,
        api=safe_text(session.api),
        method=safe_text(session.method),
        path=safe_text(session.path),
        model=safe_text(session.model),
        decision=safe_text(session.decision),
        rule=safe_text(session.rule),
        hold=safe_text(session.hold or ""),
        status=safe_text(session.status),
        started_at=timestamp(session.started_at),
        ended_at=None if session.ended_at is None else timestamp(session.ended_at),
        prompt_tokens=session.prompt_tokens,
        completion_tokens=session.completion_tokens,
    )


def entry_message(entry: Entry, *, before_masking: bool = False) -> sessions_pb2.Entry:
    """An entry with its payloads, in the order of their names; those from before masking only if asked.

    What is more than `LARGEST_SHOWN` together with the payloads before it is missing, and says so: a message
    takes no more, and without it the rest of the session could not be read.
    """
    payloads: list[sessions_pb2.Payload] = []
    missing = dict(entry.missing)
    left = LARGEST_SHOWN
    for name, body in sorted(entry.payloads.items()):
        if name == ORIGINAL and not before_masking:
            continue
        if len(body) > left:
            missing[name] = f"too large to be shown ({len(body):,} bytes); {_where(name)}"
            continue
        left -= len(body)
        payloads.append(sessions_pb2.Payload(name=safe_text(name), body=body))
    return sessions_pb2.Entry(
        sequence=entry.sequence,
        kind=safe_text(entry.kind),
        at=timestamp(entry.at),
        session=safe_text(entry.session or ""),
        data=json.dumps(dict(entry.data), sort_keys=True),
        body=entry.body,
        payloads=payloads,
        missing=[
            sessions_pb2.MissingPayload(name=safe_text(name), why=safe_text(why))
            for name, why in sorted(missing.items())
            if before_masking or name != ORIGINAL
        ],
    )


def _where(name: str) -> str:
    """Where a payload that no message takes can be had."""
    if name == ORIGINAL:
        return "the store alone has it: no export has values before masking"
    return "authz audit export has it"


def timestamp(seconds: float) -> Timestamp:
    """Seconds since the epoch, to the microsecond."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1_000_000))
    return stamp


def _caller(caller: Caller) -> common_pb2.Caller:
    return common_pb2.Caller(
        issuer=safe_text(caller.issuer),
        subject=safe_text(caller.subject),
        groups=[safe_text(group) for group in caller.groups],
        groups_complete=caller.groups_complete,
        person=safe_text(caller.person or ""),
    )


def _answer(head: AnswerHead) -> holds_pb2.Answer:
    return holds_pb2.Answer(
        status=head.status,
        content_type=safe_text(head.headers.get("content-type", "")),
        masked={safe_text(entity): count for entity, count in head.masked.items()},
    )


def _unread(value: Unread) -> holds_pb2.Unread:
    return holds_pb2.Unread(
        kind=value.kind.value,
        type=safe_text(value.type),
        declared=safe_text(value.declared),
        mismatch=value.mismatch,
        scheme=safe_text(value.scheme),
        size=value.size,
        sha256=value.sha256,
        path=safe_text(value.place),
    )


def _stages(hold: HoldSummary) -> list[holds_pb2.Stage]:
    return [
        _stage(hold, StageRef(approval.name, index), stage)
        for approval in hold.approvals
        for index, stage in enumerate(approval.stages)
    ]


def _stage(hold: HoldSummary, ref: StageRef, stage: Stage) -> holds_pb2.Stage:
    later = replace(ref, is_escalated=True)
    is_open = ref in hold.open_stages
    message = holds_pb2.Stage(
        ref=ref_message(ref),
        reviewers=safe_text(stage.reviewers),
        votes=stage.votes,
        within=_duration(stage.within),
        is_open=is_open or later in hold.open_stages,
        is_escalated=later in hold.open_stages,
        service_accounts=stage.service_accounts,
        editor_may_approve=stage.editor_may_approve,
        counted=_counted(hold, ref),
    )
    if stage.escalate is not None:
        message.escalation.reviewers = safe_text(stage.escalate.reviewers)
        message.escalation.within.CopyFrom(_duration(stage.escalate.within))
    if stage.hours is not None:
        message.hours.CopyFrom(_hours(stage.hours))
    for turn in hold.turns:
        if is_open and turn.turn is Turn.ESCALATED and turn.stage == later:
            message.escalates_at.CopyFrom(timestamp(turn.at))
    return message


def _counted(hold: HoldSummary, ref: StageRef) -> int:
    """How many people's votes count in an open stage; by name and position, escalated or not."""
    voters = {
        vote.voter
        for vote in hold.votes
        if vote.id in hold.counted
        and any((r.approval, r.stage) == (ref.approval, ref.stage) for r in vote.counts_for)
    }
    return len(voters)


def _hours(hours: Hours) -> holds_pb2.BusinessHours:
    message = holds_pb2.BusinessHours(zone=safe_text(hours.zone), days=hours.days, to=hours.end)
    setattr(message, "from", hours.start)  # a word of Python's
    return message


def vote_message(vote: Vote) -> holds_pb2.Vote:
    """One person's word."""
    issuer, subject = vote.voter
    return holds_pb2.Vote(
        id=safe_text(vote.id),
        voter_issuer=safe_text(issuer),
        voter_subject=safe_text(subject),
        name=safe_text(vote.name),
        verdict=_VERDICTS[vote.verdict],
        digest=safe_text(vote.digest),
        reason=safe_text(vote.reason),
        at=timestamp(vote.at),
        counts_for=[ref_message(ref) for ref in vote.counts_for],
        break_glass=vote.is_break_glass,
        withdrawn_at=None if vote.withdrawn_at is None else timestamp(vote.withdrawn_at),
        is_void=vote.is_void,
    )


def _act(act: Act) -> holds_pb2.Act:
    issuer, subject = act.person
    return holds_pb2.Act(
        id=safe_text(act.id),
        kind=_ACTS[act.kind],
        person_issuer=safe_text(issuer),
        person_subject=safe_text(subject),
        name=safe_text(act.name),
        at=timestamp(act.at),
        text=safe_text(act.text),
        votes=[safe_text(vote) for vote in act.votes],
        until=None if act.until is None else timestamp(act.until),
        digest="" if act.revised is None else safe_text(act.revised.digest),
    )


def ref_message(ref: StageRef) -> holds_pb2.StageRef:
    """A stage by name and position."""
    return holds_pb2.StageRef(
        approval=safe_text(ref.approval), stage=ref.stage, is_escalated=ref.is_escalated
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1_000_000))
    return duration


def safe_text(text: str) -> str:
    """A text that protobuf takes."""
    # A claim may hold a lone surrogate (JSON "\ud800"), which protobuf refuses: without this, one such
    # caller could make the whole list of holds unreadable.
    return text.encode("utf-8", "replace").decode("utf-8")


def safe_pointer(path: Path) -> str:
    """A JSON pointer that protobuf takes."""
    return safe_text(pointer(path))
