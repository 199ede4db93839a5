"""The HoldService of authz.v1: reviewers list, look at, follow and decide holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceServicer
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.holds import Verdict
from authz_service.core.ports import Hold, HoldLimits, HoldState, HoldSummary, Store
from authz_service.errors import AuthzError, Conflict
from authz_service.inspection.unread import unread_in
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_context import Contexts, found_text
from authz_service.servers.review_deciding import Deciding, Reviser, VoteRequest
from authz_service.servers.review_feed import HoldFeed
from authz_service.servers.review_messages import MAX_ANSWER, hold_message, safe_text, timestamp
from authz_service.servers.review_requests import hold_query, read_cursor, read_votes
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
            return pb.ListHoldsResponse(
                holds=[_message(hold, standing, waiting.get(hold.id, 0)) for hold in holds],
                next_page_token=page.next_page_token,
                as_of=timestamp(await self.store.now()),
                damaged=map(safe_text, damaged),
            )

    async def GetHold(self, request: pb.GetHoldRequest, context: Context) -> pb.GetHoldResponse:
        """The hold with its body, after an entry says who reads it; or NOT_FOUND."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = standing.visible(await self.store.hold(request.id))
            await self.store.append(_reading(hold, standing.person))
            # From the very bytes that an approval would send; a large body takes its time.
            is_request = hold.answer is None
            unread = (
                await asyncio.to_thread(unread_in, hold.api, hold.operation, hold.forward)
                if is_request
                else ()
            )
            waiting = await self._waiting(hold)
            message = _message(hold, standing, waiting, forward=hold.forward, unread=unread)
            context_of = await self.contexts.of(hold, standing)
            if hold.answer is not None:
                context_of.in_answer.extend(map(found_text, await self.reviser.found(hold)))
            texts = await self._texts(hold)
            response = pb.GetHoldResponse(
                hold=message,
                as_of=await self._now(),
                context=context_of,
                texts=[pb.AnswerText(name=safe_text(n), text=safe_text(text)) for n, text in texts.items()],
            )
            if response.ByteSize() > MAX_ANSWER:
                said = f"what this hold has ({len(hold.forward):,} bytes) is too large to be shown"
                then = "it ends at its deadline, unless RejectHold is called with its digest"
                raise Conflict(f"{said}; {then}", code="hold_too_large")
            return response

    async def WatchHolds(
        self, request: pb.WatchHoldsRequest, context: Context
    ) -> AsyncIterator[pb.WatchHoldsResponse]:
        """Open holds, then changes, until the token expires."""
        async with answering(context):
            standing = await self.calls.standing(context)
            cursor = read_cursor(request.cursor)
            async for told in watch_holds(
                self.store, self.feed, standing, after=cursor, clock=self.calls.clock
            ):
                self.calls.recheck(standing.person)
                hold = None if told.hold is None else _message(told.hold, standing, told.waiting)
                response = pb.WatchHoldsResponse(
                    hold=hold,
                    cursor=told.cursor,
                    as_of=timestamp(told.as_of),
                    damaged=map(safe_text, told.damaged),
                )
                if hold is None and told.ends_snapshot:
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
            hold = await self._deciding.edit(standing, request)
            return pb.EditHoldResponse(hold=await self._revised(hold, standing), as_of=await self._now())

    async def RespondHold(self, request: pb.RespondHoldRequest, context: Context) -> pb.RespondHoldResponse:
        """The hold with the reviewer's answer, body and all."""
        async with answering(context):
            standing = await self.calls.standing(context)
            hold = await self._deciding.respond(standing, request)
            return pb.RespondHoldResponse(hold=await self._revised(hold, standing), as_of=await self._now())

    async def _texts(self, hold: Hold) -> Mapping[str, str]:
        is_editable = hold.is_answer and hold.state is HoldState.PENDING
        return await self.reviser.texts(hold) if is_editable else {}

    async def _revised(self, hold: HoldSummary, standing: Standing) -> pb.Hold:
        whole = standing.visible(await self.store.hold(hold.id))
        return _message(whole, standing, await self._waiting(hold), forward=whole.forward)

    @property
    def _deciding(self) -> Deciding:
        return Deciding(self.store, self.limits, self.feed.nudge, self.reviser)

    async def _now(self) -> Timestamp:
        return timestamp(await self.store.now())

    async def _told(self, hold: HoldSummary, standing: Standing) -> pb.Hold:
        return _message(hold, standing, await self._waiting(hold))

    async def _waiting(self, hold: HoldSummary) -> int:
        return (await self.store.waiting_for([hold.id])).get(hold.id, 0)


def _message(
    hold: HoldSummary,
    standing: Standing,
    waiting: int,
    *,
    forward: bytes = b"",
    unread: Sequence[Unread] = (),
) -> pb.Hold:
    stages = standing.stages(hold)
    return hold_message(hold, waiting=waiting, may_vote_in=stages, forward=forward, unread=unread)


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
