"""The HoldService of authz.v1: reviewers list, look at, follow and decide holds."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceServicer
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.holds import Verdict
from authz_service.core.ports import Store
from authz_service.core.stored_holds import Hold, HoldLimits, HoldState, HoldSummary
from authz_service.errors import AuthzError, Conflict, Unreadable
from authz_service.runtime.concealing import Seen
from authz_service.runtime.revising import ToldAnswer
from authz_service.servers.review_ballots import VoteRequest
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_changes import changes_in, edits_of, leave_out
from authz_service.servers.review_concealing import WITHHELD, Veil, edited
from authz_service.servers.review_context import Contexts, found_text
from authz_service.servers.review_deciding import Deciding, Reviser
from authz_service.servers.review_feed import HoldFeed
from authz_service.servers.review_messages import MAX_ANSWER, hold_message, safe_text, timestamp
from authz_service.servers.review_requests import hold_query, read_cursor, read_known, read_votes
from authz_service.servers.review_watch import watch_holds
from authz_service.servers.roles import Standing
from authz_service.view.caller import Caller
from authz_service.view.unread import Unread

MAX_PAGES_FOR_ONE = 20  # of the store's, for one of ours: holds that are not for the caller leave gaps


@dataclass(frozen=True, slots=True)
class HoldReview(HoldServiceServicer):
    """`limits` says what an approval is good for now."""

    store: Store
    calls: Calls
    limits: Callable[[], HoldLimits]
    feed: HoldFeed
    contexts: Contexts
    reviser: Reviser
    veil: Veil

    async def ListHolds(self, request: pb.ListHoldsRequest, context: Context) -> pb.ListHoldsResponse:
        """Only what the caller may see; a page may be short."""
        async with answering(context):
            standing = await self.calls.standing(context)
            query = hold_query(request)
            damaged: list[str] = []
            for _ in range(MAX_PAGES_FOR_ONE):
                page = await self.store.holds(query)
                damaged += page.damaged
                holds = [hold for hold in page.items if standing.sees(hold)]
                if holds or not page.next_page_token:
                    break
                query = hold_query(request, page_token=page.next_page_token)
            waiting = await self.store.waiting_for([hold.id for hold in holds])
            messages = [_message(hold, standing, waiting.get(hold.id, 0)) for hold in holds]
            await self.veil.words(standing, messages)
            return pb.ListHoldsResponse(
                holds=messages,
                next_page_token=page.next_page_token,
                as_of=timestamp(await self.store.now()),
                damaged=map(safe_text, damaged),
            )

    async def GetHold(self, request: pb.GetHoldRequest, context: Context) -> pb.GetHoldResponse:
        """The hold with its body, after an entry says who reads it; or NOT_FOUND."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = standing.visible(await self.store.hold(request.id))
            seen = await self.veil.seen(standing, hold)
            await self.store.append(_reading(hold, standing.person))
            waiting = await self._waiting(hold)
            context_of, unread = await self.contexts.of(hold, standing, seen)
            message = _message(hold, standing, waiting, seen=seen or Seen(hold), unread=unread)
            await self.veil.words(standing, (message, *context_of.earlier))
            told = await self._answer(hold if seen is None else seen.hold)
            context_of.in_answer.extend(map(found_text, told.found))
            context_of.found_is_partial |= not told.is_marked
            texts = told.texts if hold.state is HoldState.PENDING else {}
            response = pb.GetHoldResponse(
                hold=message,
                as_of=await self._now(),
                context=context_of,
                texts=[pb.AnswerText(name=safe_text(n), text=safe_text(text)) for n, text in texts.items()],
                edits=await self._edits(hold, standing),
            )
            if response.ByteSize() > MAX_ANSWER:
                leave_out(response.edits)
            if response.ByteSize() > MAX_ANSWER and context_of.HasField("conversation"):
                response.context.ClearField("conversation")
                response.context.left_out = pb.LEFT_OUT_TOO_LARGE
            if response.ByteSize() > MAX_ANSWER:
                said = f"what this hold has ({len(message.forward):,} bytes) is too large to be shown"
                then = (
                    "it ends at its deadline, unless it is rejected: its digest in a list is enough for that"
                )
                raise Conflict(f"{said}; {then}", code="hold_too_large")
            return response

    async def WatchHolds(
        self, request: pb.WatchHoldsRequest, context: Context
    ) -> AsyncIterator[pb.WatchHoldsResponse]:
        """Open holds, then changes, until the token expires."""
        async with answering(context):
            standing = await self.calls.standing(context)
            cursor, known = read_cursor(request.cursor), read_known(request.known)
            async for told in watch_holds(
                self.store, self.feed, standing, after=cursor, known=known, clock=self.calls.clock
            ):
                hold = None if told.hold is None else _message(told.hold, standing, told.waiting)
                if hold is not None:
                    await self.veil.words(standing, (hold,))
                self.calls.recheck(standing.person)  # after what may wait for a detector
                response = pb.WatchHoldsResponse(
                    hold=hold,
                    cursor=told.cursor,
                    as_of=timestamp(told.as_of),
                    damaged=map(safe_text, told.damaged),
                )
                if told.gone:
                    response.no_longer_yours = safe_text(told.gone)
                elif hold is None and told.ends_snapshot:
                    response.snapshot_done.SetInParent()
                elif hold is None:
                    response.bookmark.SetInParent()
                yield response

    async def ApproveHold(self, request: pb.ApproveHoldRequest, context: Context) -> pb.ApproveHoldResponse:
        """One vote for; PENDING afterwards when more are needed."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.vote(standing, request, Verdict.APPROVE)
            return pb.ApproveHoldResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def RejectHold(self, request: pb.RejectHoldRequest, context: Context) -> pb.RejectHoldResponse:
        """One vote against, which ends the hold."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.vote(standing, request, Verdict.REJECT)
            return pb.RejectHoldResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def DecideHolds(self, request: pb.DecideHoldsRequest, context: Context) -> pb.DecideHoldsResponse:
        """Each vote for itself; a refused one keeps no other from counting."""
        async with answering(context):
            standing = await self.calls.standing(context)
            verdict, votes = read_votes(request)
            holds = await self.store.summaries([vote.id for vote in votes])
            asked = [(holds.get(vote.id), vote) for vote in votes]
            cast = await self._deciding.vote_on_all(standing, asked, verdict)
            waiting = await self.store.waiting_for([h.id for h in cast if isinstance(h, HoldSummary)])
            outcomes = [
                _outcome(vote, hold, standing, waiting) for vote, hold in zip(votes, cast, strict=True)
            ]
            await self.veil.words(standing, [told.hold for told in outcomes if told.HasField("hold")])
            return pb.DecideHoldsResponse(outcomes=outcomes, as_of=await self._now())

    async def WithdrawVote(
        self, request: pb.WithdrawVoteRequest, context: Context
    ) -> pb.WithdrawVoteResponse:
        """The hold as it stands without their votes."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.withdraw(standing, request)
            return pb.WithdrawVoteResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def ClaimHold(self, request: pb.ClaimHoldRequest, context: Context) -> pb.ClaimHoldResponse:
        """The hold with their claim, or FAILED_PRECONDITION with somebody else's."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.claim(standing, request)
            return pb.ClaimHoldResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def ReleaseClaim(
        self, request: pb.ReleaseClaimRequest, context: Context
    ) -> pb.ReleaseClaimResponse:
        """The hold without their claim."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.release_claim(standing, request)
            return pb.ReleaseClaimResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def CommentHold(self, request: pb.CommentHoldRequest, context: Context) -> pb.CommentHoldResponse:
        """The hold with their comment."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.comment(standing, request)
            return pb.CommentHoldResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def ReviewHold(self, request: pb.ReviewHoldRequest, context: Context) -> pb.ReviewHoldResponse:
        """The hold with their review, off the list."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.review(standing, request)
            return pb.ReviewHoldResponse(hold=await self._told(hold, standing), as_of=await self._now())

    async def EditHold(self, request: pb.EditHoldRequest, context: Context) -> pb.EditHoldResponse:
        """The hold with the edited request, body and all."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold, act = await self._deciding.edit(standing, request)
            whole = standing.visible(await self.store.hold(hold.id))
            message = await self._whole(whole, standing)
            response = pb.EditHoldResponse(hold=message, as_of=await self._now())
            for edit in await self._edits(whole, standing):
                if edit.act == safe_text(act):  # others may have edited it since
                    response.edit.CopyFrom(edit)
            return response

    async def PreviewEdit(self, request: pb.EditHoldRequest, context: Context) -> pb.PreviewEditResponse:
        """What an edit would make of the hold, after an entry says who reads it."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold, revised = await self._deciding.preview(standing, request)
            before = await self.veil.seen(standing, hold)
            after = await self.veil.seen(standing, edited(hold, revised))
            changes = revised.changes
            if before is not None and after is not None:
                changes = await self.veil.changes(before, after)
            await self.store.append(_reading(hold, standing.person))
            return pb.PreviewEditResponse(
                forward=revised.forward if after is None else after.hold.forward,
                digest=hashlib.sha256(revised.forward).hexdigest(),
                concealed={} if after is None else after.counts,
                changes=await asyncio.to_thread(changes_in, changes, is_answer=hold.is_answer),
                as_of=await self._now(),
            )

    async def RespondHold(self, request: pb.RespondHoldRequest, context: Context) -> pb.RespondHoldResponse:
        """The hold with the reviewer's answer, body and all."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.respond(standing, request)
            return pb.RespondHoldResponse(hold=await self._revised(hold, standing), as_of=await self._now())

    async def _answer(self, hold: Hold) -> ToldAnswer:
        return ToldAnswer({}, ()) if hold.answer is None else await self.reviser.told(hold)

    async def _edits(self, hold: Hold, standing: Standing) -> list[pb.Edit]:
        if not hold.revisions:
            return []
        recorded = await self.reviser.changes(hold)
        if standing.concealed:
            recorded = dict.fromkeys(recorded, WITHHELD)
        return await asyncio.to_thread(edits_of, recorded, is_answer=hold.is_answer)

    async def _revised(self, hold: HoldSummary, standing: Standing) -> pb.Hold:
        return await self._whole(standing.visible(await self.store.hold(hold.id)), standing)

    async def _whole(self, hold: Hold, standing: Standing) -> pb.Hold:
        """As they see it, body and all; of what cannot be concealed, which is committed, as lists have it."""
        try:
            seen = await self.veil.seen(standing, hold) or Seen(hold)
        except Unreadable as error:
            if error.code != "not_concealable":
                raise
            return await self._told(hold, standing)
        message = _message(hold, standing, await self._waiting(hold), seen=seen)
        await self.veil.words(standing, (message,))
        return message

    @property
    def _deciding(self) -> Deciding:
        return Deciding(self.store, self.limits, self.feed.nudge, self.reviser, self.veil)

    async def _now(self) -> Timestamp:
        return timestamp(await self.store.now())

    async def _told(self, hold: HoldSummary, standing: Standing) -> pb.Hold:
        message = _message(hold, standing, await self._waiting(hold))
        await self.veil.words(standing, (message,))
        return message

    async def _waiting(self, hold: HoldSummary) -> int:
        return (await self.store.waiting_for([hold.id])).get(hold.id, 0)


def _message(
    hold: HoldSummary,
    standing: Standing,
    waiting: int,
    *,
    seen: Seen | None = None,
    unread: Sequence[Unread] = (),
) -> pb.Hold:
    return hold_message(
        hold,
        waiting=waiting,
        may_vote_in=standing.stages(hold),
        forward=b"" if seen is None else seen.hold.forward,
        unread=unread,
        concealed=None if seen is None else seen.counts,
    )


def _outcome(
    vote: VoteRequest, hold: HoldSummary | AuthzError, standing: Standing, waiting: Mapping[str, int]
) -> pb.Outcome:
    if isinstance(hold, AuthzError):
        return pb.Outcome(id=vote.id, code=hold.code, message=str(hold))
    return pb.Outcome(id=vote.id, hold=_message(hold, standing, waiting.get(hold.id, 0)))


def _reading(hold: Hold, reader: Caller) -> EntryDraft:
    """Whoever looks at a hold reads what its caller sent: an entry of that session, the reader a payload."""
    payloads = {"reader": caller_payload(reader)}
    return EntryDraft(Kind.SESSION_READ, hold.session, {"hold": hold.id}, payloads, reader.identity)
