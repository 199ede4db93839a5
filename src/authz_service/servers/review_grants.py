"""The GrantService of authz.v1: reviewers make, look at and end grants."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from authz_api.v1 import grants_pb2 as pb
from authz_api.v1.grants_pb2_grpc import GrantServiceServicer
from authz_service.core.grant_terms import require_same_voters, terms_from
from authz_service.core.grants import Grant, Maker
from authz_service.core.holds import Approval
from authz_service.core.ports import DAMAGED, Store
from authz_service.core.requesters import owners_of
from authz_service.core.stored_grants import GrantStore
from authz_service.core.stored_holds import HoldSummary
from authz_service.errors import AuthzError, Forbidden, NotFound, Unavailable
from authz_service.servers.grant_messages import grant_message, grant_query, wanted
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_concealing import Veil
from authz_service.servers.review_messages import safe_text, timestamp
from authz_service.servers.review_requests import kill_reason, read_digest, read_text
from authz_service.servers.review_sessions import killing
from authz_service.servers.roles import Standing

MAX_PAGES_FOR_ONE = 20  # of the store's, for one of ours: grants that are not for the caller leave gaps


class HoldsAndGrants(Store, GrantStore, Protocol):
    """What the service asks of the store."""


@dataclass(frozen=True, slots=True)
class GrantReview(GrantServiceServicer):
    """`approvals` are the definitions of the configuration in force."""

    store: HoldsAndGrants
    calls: Calls
    approvals: Callable[[], Collection[Approval]]
    veil: Veil = Veil()  # noqa: RUF009 - it has no state

    async def CreateGrant(self, request: pb.CreateGrantRequest, context: Context) -> pb.CreateGrantResponse:
        """One vote for terms made from a hold."""
        async with answering(context):
            standing = await self.calls.standing(context)
            read_digest(request.digest)
            asked = wanted(request)
            hold = standing.visible((await self.store.summaries([request.hold])).get(request.hold))
            by = _voter(standing, hold, request.reason, request.idempotency_key)
            reads = standing.roles.stage_reads(hold)
            await self.veil.require_tools(standing, () if hold.traits is None else hold.traits.tools)
            terms = terms_from(hold, asked, reads=reads)
            require_same_voters(terms, hold, reads)
            made = await self.store.propose_grant(hold.id, terms=terms, shown=request.digest, by=by)
            return pb.CreateGrantResponse(
                grant=await self._message(made, standing, hold), as_of=await self._now()
            )

    async def ApproveGrant(
        self, request: pb.ApproveGrantRequest, context: Context
    ) -> pb.ApproveGrantResponse:
        """One more vote for a proposal."""
        async with answering(context):
            standing = await self.calls.standing(context)
            read_digest(request.digest)
            grant, hold = await self._votable(standing, request.id)
            by = _voter(standing, hold, request.reason, request.idempotency_key)
            await self.veil.require_tools(standing, grant.terms.tools)
            require_same_voters(grant.terms, hold, standing.roles.stage_reads(hold))
            made = await self.store.approve_grant(grant.id, digest=request.digest, by=by)
            return pb.ApproveGrantResponse(
                grant=await self._message(made, standing, hold), as_of=await self._now()
            )

    async def GetGrant(self, request: pb.GetGrantRequest, context: Context) -> pb.GetGrantResponse:
        """One, with its uses; or NOT_FOUND."""
        async with answering(context):
            standing = await self.calls.standing(context)
            grant, hold = await self._visible(standing, request.id)
            return pb.GetGrantResponse(
                grant=await self._message(grant, standing, hold), as_of=await self._now()
            )

    async def ListGrants(self, request: pb.ListGrantsRequest, context: Context) -> pb.ListGrantsResponse:
        """Only what the caller may see; a page may be short."""
        async with answering(context):
            standing = await self.calls.standing(context)
            query = grant_query(request)
            damaged: list[str] = []
            for _ in range(MAX_PAGES_FOR_ONE):
                page = await self.store.grants(query)
                holds = await self.store.summaries({grant.hold for grant in page.items})
                found = [(grant, _readable(holds.get(grant.hold))) for grant in page.items]
                damaged += page.damaged
                damaged += [grant.id for grant, hold in found if hold is None]
                seen = [(grant, hold) for grant, hold in found if _sees(standing, hold)]
                if seen or not page.next_page_token:
                    break
                query = grant_query(request, page_token=page.next_page_token)
            return pb.ListGrantsResponse(
                grants=[await self._message(grant, standing, hold) for grant, hold in seen],
                next_page_token=page.next_page_token,
                as_of=await self._now(),
                damaged=map(safe_text, damaged),
            )

    async def RevokeGrant(self, request: pb.RevokeGrantRequest, context: Context) -> pb.RevokeGrantResponse:
        """The grant as it ended, and what ended with it."""
        async with answering(context):
            standing = await self.calls.standing(context)
            reason = read_text(request.reason, request.idempotency_key)
            hold = None if standing.is_operator else await self._endable(standing, request.id)
            by = _maker(standing, hold, reason, request.idempotency_key)
            killed = None
            if request.kill:
                why = kill_reason(request.reason)
                killed = lambda session: killing(session, why, standing.person)  # noqa: E731 - a callback
            end = await self.store.revoke_grant(request.id, by=by, killed=killed)
            unread = pb.Grant(id=request.id, state=pb.GRANT_STATE_REVOKED, is_damaged=True)
            if end.grant is not None and standing.is_operator:
                hold = await self._hold_of(end.grant)
            return pb.RevokeGrantResponse(
                grant=unread if end.grant is None else await self._message(end.grant, standing, hold),
                sessions=end.sessions,
                as_of=await self._now(),
            )

    async def _endable(self, standing: Standing, grant_id: str) -> HoldSummary:
        """The hold of a grant that a reviewer may end; raises `Forbidden`, or as `_visible`."""
        _, hold = await self._votable(standing, grant_id)
        if not standing.stages(hold):
            message = "you may see this grant; to end it is for its reviewers and for operators"
            raise Forbidden(message, code="no_stage")
        return hold

    async def _votable(self, standing: Standing, grant_id: str) -> tuple[Grant, HoldSummary]:
        """The grant with its hold, which can be read."""
        grant, hold = await self._visible(standing, grant_id)
        if hold is None:
            raise _without_hold(grant)
        return grant, hold

    async def _visible(self, standing: Standing, grant_id: str) -> tuple[Grant, HoldSummary | None]:
        """The grant with its hold, or `NotFound`: the same words whether it is missing or not for them.

        Raises `Unavailable` where the hold cannot be read, and with it whether it is for them; who sees all
        gets None in its place.
        """
        grant = await self.store.grant(grant_id)
        if grant is None:
            raise _not_found()
        hold = await self._hold_of(grant)
        if hold is None and not _sees(standing, hold):
            raise _without_hold(grant)
        if not _sees(standing, hold):
            raise _not_found()
        return grant, hold

    async def _hold_of(self, grant: Grant) -> HoldSummary | None:
        return _readable((await self.store.summaries([grant.hold])).get(grant.hold))

    async def _message(self, grant: Grant, standing: Standing, hold: HoldSummary | None) -> pb.Grant:
        message = grant_message(
            grant,
            may_vote_in=() if hold is None else standing.stages(hold),
            is_void=set(grant.terms.approvals).isdisjoint(self.approvals()),
            is_damaged=hold is None,
        )
        await self.veil.words(standing, (message,))
        await self.veil.tools(standing, message)
        return message

    async def _now(self) -> Timestamp:
        return timestamp(await self.store.now())


def _readable(hold: HoldSummary | AuthzError | None) -> HoldSummary | None:
    """None for one that is damaged, or that somebody has deleted: a grant never outlives its hold."""
    return hold if isinstance(hold, HoldSummary) else None


def _sees(standing: Standing, hold: HoldSummary | None) -> bool:
    sees_all = standing.is_operator or standing.is_auditor
    return sees_all or (hold is not None and standing.sees(hold))


def _not_found() -> NotFound:
    return NotFound("there is no such grant that you may see", code="grant_not_found")


def _without_hold(grant: Grant) -> Unavailable:
    what = f"what is stored of hold {grant.hold}, from which grant {grant.id} was made, is damaged"
    return Unavailable(f"{what}; it lets nothing through, and operators can end it", code=DAMAGED)


def _voter(standing: Standing, hold: HoldSummary, reason: str, idempotency_key: str) -> Maker:
    standing.require_another(hold)
    if not standing.stages(hold):
        raise Forbidden("you may see this hold, and no stage of it asks for your vote", code="no_stage")
    return _maker(standing, hold, read_text(reason, idempotency_key), idempotency_key)


def _maker(standing: Standing, hold: HoldSummary | None, reason: str, idempotency_key: str) -> Maker:
    person = standing.person
    return Maker(
        person=person.identity,
        account=(person.issuer, person.subject),
        owners=owners_of(person),
        name=person.person or person.subject,
        may_vote_in=() if hold is None else standing.stages(hold),
        reason=reason,
        idempotency_key=idempotency_key,
    )
