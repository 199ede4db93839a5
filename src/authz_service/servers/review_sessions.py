"""The SessionService of authz.v1: auditors read the record, and their reading is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from authz_api.v1 import sessions_pb2 as pb
from authz_api.v1.sessions_pb2_grpc import SessionServiceServicer
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.ports import Store
from authz_service.errors import NotFound
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_messages import entry_message, session_message
from authz_service.servers.review_requests import session_query
from authz_service.view.caller import Caller

BATCH_BYTES = 1024 * 1024  # of payloads, after which a message is sent; one entry is never divided


@dataclass(frozen=True, slots=True)
class SessionReview(SessionServiceServicer):
    """Reviewers who are no auditors have no business here: a session may be anybody's."""

    store: Store
    calls: Calls

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """Columns only."""
        async with answering(context):
            (await self.calls.standing(context)).require_auditor()
            page = await self.store.sessions(session_query(request))
            return pb.ListSessionsResponse(
                sessions=[
                    session_message(session)
                    for session in page.items
                    if session.id.startswith(request.id_prefix)
                ],
                next_page_token=page.next_page_token,
            )

    async def GetSession(
        self, request: pb.GetSessionRequest, context: Context
    ) -> AsyncIterator[pb.GetSessionResponse]:
        """The whole session, after an entry says who reads it."""
        async with answering(context):
            standing = await self.calls.standing(context)
            standing.require_auditor()
            session = await self.store.session(request.id)
            if session is None:
                raise NotFound("there is no such session", code="session_not_found")
            await self.store.append(_reading(session.id, standing.person))
            response = pb.GetSessionResponse(session=session_message(session))
            size = 0
            for entry in await self.store.entries(session.id):
                response.entries.append(entry_message(entry))
                size += len(entry.body) + sum(len(body) for body in entry.payloads.values())
                if size >= BATCH_BYTES:
                    yield response
                    response, size = pb.GetSessionResponse(), 0
            yield response


def _reading(session: str, reader: Caller) -> EntryDraft:
    """The reader is a payload: entries themselves carry no personal data."""
    payloads = {"reader": caller_payload(reader)}
    return EntryDraft(Kind.SESSION_READ, session=session, payloads=payloads, subject=reader.identity)
