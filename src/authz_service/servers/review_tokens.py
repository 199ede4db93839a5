"""The TokenService of authz.v1: operators withdraw tokens, and every withdrawal is on record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import orjson

from authz_api.v1 import tokens_pb2 as pb
from authz_api.v1.tokens_pb2_grpc import TokenServiceServicer
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.revocations import Revocation, RevocationStore, Revoked, RevokedBy
from authz_service.errors import NotFound, Unreadable
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_messages import timestamp
from authz_service.servers.review_requests import MAX_REASON
from authz_service.view.caller import Caller

LONGEST_NAME = 512
NO_TOKEN_OUTLIVES = 30 * 86_400.0  # seconds: the longest max_lifetime that a configuration may have


@dataclass(frozen=True, slots=True)
class TokenReview(TokenServiceServicer):
    """`refresh` has this process know of a change before the call is answered; `now` is the store's clock."""

    store: RevocationStore
    calls: Calls
    issuers: Collection[str]
    refresh: Callable[[], Awaitable[None]]
    now: Callable[[], Awaitable[float]]

    async def RevokeTokens(
        self, request: pb.RevokeTokensRequest, context: Context
    ) -> pb.RevokeTokensResponse:
        """Withdraw them."""
        async with answering(context):
            person = await self._operator(context)
            what, now = self._what(request.revoked), await self.now()
            until = self._until(request, what, now)
            revocation = Revocation(
                what, until, _reason(request.reason), person.person or person.subject, now
            )
            await self.store.revoke(revocation, _entry(Kind.TOKEN_REVOKED, revocation, person))
            await self.refresh()
            return pb.RevokeTokensResponse(revocation=_message(revocation))

    async def RestoreTokens(
        self, request: pb.RestoreTokensRequest, context: Context
    ) -> pb.RestoreTokensResponse:
        """Take them again."""
        async with answering(context):
            person = await self._operator(context)
            what = self._what(request.revoked)
            lifted = Revocation(what, None, _reason(request.reason), person.subject, await self.now())
            if not await self.store.restore(what, _entry(Kind.TOKEN_RESTORED, lifted, person)):
                raise NotFound("no such tokens are withdrawn", code="revocation_not_found")
            await self.refresh()
            return pb.RestoreTokensResponse()

    async def ListRevocations(
        self, request: pb.ListRevocationsRequest, context: Context
    ) -> pb.ListRevocationsResponse:
        """All in force."""
        async with answering(context):
            await self._operator(context)
            read = await self.store.revocations()
            return pb.ListRevocationsResponse(revocations=[_message(r) for r in read.items] if read else [])

    async def _operator(self, context: Context) -> Caller:
        standing = await self.calls.standing(context)
        standing.require_operator()
        return standing.person

    def _what(self, revoked: pb.Revoked) -> Revoked:
        issuer = revoked.issuer or (next(iter(self.issuers)) if len(self.issuers) == 1 else "")
        if issuer not in self.issuers:
            known = ", ".join(sorted(self.issuers))
            raise Unreadable(f"name one of the issuers that are trusted: {known}", code="unknown_issuer")
        by = {"jti": RevokedBy.TOKEN, "subject": RevokedBy.SUBJECT}.get(revoked.WhichOneof("by") or "")
        value = revoked.jti or revoked.subject
        if by is None or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
            message = f"name a token's id or a subject, of 1 to {LONGEST_NAME} printable characters"
            raise Unreadable(message, code="revoked_required")
        return Revoked(issuer, by, value)

    def _until(self, request: pb.RevokeTokensRequest, what: Revoked, now: float) -> float | None:
        if not request.HasField("until"):
            return now + NO_TOKEN_OUTLIVES if what.by is RevokedBy.TOKEN else None
        until = request.until.seconds + request.until.nanos / 1e9
        if not now < until < 1 << 35:
            raise Unreadable("until must lie in the future", code="until_in_the_past")
        return until


def _reason(text: str) -> str:
    if not text.strip() or len(text) > MAX_REASON:
        raise Unreadable(f"give a reason of at most {MAX_REASON} characters", code="reason_required")
    return text


def _entry(kind: Kind, revocation: Revocation, person: Caller) -> EntryDraft:
    """Who and whose are payloads: entries themselves carry no personal data."""
    what = {"value": revocation.what.value, "reason": revocation.reason}
    data = {
        "issuer": revocation.what.issuer,
        "by": revocation.what.by.value,
        "until": None if revocation.until is None else int(revocation.until),
    }
    payloads = {"operator": caller_payload(person), "revoked": orjson.dumps(what)}
    return EntryDraft(kind, data=data, payloads=payloads, subjects={"operator": person.identity})


def _message(revocation: Revocation) -> pb.Revocation:
    what = revocation.what
    revoked = pb.Revoked(issuer=what.issuer)
    match what.by:
        case RevokedBy.TOKEN:
            revoked.jti = what.value
        case RevokedBy.SUBJECT:
            revoked.subject = what.value or revocation.pseudonym
    return pb.Revocation(
        revoked=revoked,
        until=None if revocation.until is None else timestamp(revocation.until),
        reason=revocation.reason,
        name=revocation.name,
        at=timestamp(revocation.at),
    )
