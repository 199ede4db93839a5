"""The SessionService of authz.v1: auditors read the record, and their reading is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_api.v1 import sessions_pb2 as pb
from authz_api.v1.sessions_pb2_grpc import SessionServiceServicer
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.live_sessions import LiveSessions
from authz_service.core.ports import Store
from authz_service.core.sessions import Entry, Session, SessionQuery
from authz_service.errors import Conflict, NotFound, Unavailable
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_live import follow
from authz_service.servers.review_messages import entry_message, safe_text, session_message
from authz_service.servers.review_requests import (
    kill_reason,
    read_cursor,
    reading_reason,
    session_names,
    session_query,
)
from authz_service.view.caller import Caller

BATCH_BYTES = 1024 * 1024  # of payloads, after which a message is sent; one entry is never divided
READ_BYTES = 4 * 1024 * 1024  # of sessions that are read together, and the last of them whole


class ReviewStore(Store, LiveSessions, Protocol):
    """What this API asks of the store."""

    async def some_sessions(self, names: Sequence[str]) -> Sequence[Session]:
        """Those of these sessions that are there, in this order."""
        ...

    async def some_entries(self, names: Sequence[str], *, most: int) -> Sequence[Sequence[Entry]]:
        """Entries of the first of these sessions, at least one: up to `most` bytes, and the last whole."""
        ...

    async def policy_file(self, digest: str) -> bytes | None:
        """The file of the policy with this digest; None when it is not on record (any more)."""
        ...


class Index(Protocol):
    """The search index, which follows the record."""

    @property
    def has_texts(self) -> bool:
        """Whether what was asked and answered can be searched."""
        ...

    async def refresh(self) -> bool:
        """Take in what is on record now; False when that takes longer than a call may."""
        ...


@dataclass(frozen=True, slots=True)
class SessionReview(SessionServiceServicer):
    """Reviewers who are no auditors have no business here: a session may be anybody's."""

    store: ReviewStore
    calls: Calls
    index: Index
    poll: float
    is_stopping: Callable[[], bool]

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """Columns only; a search for text after an entry says who searches for what."""
        async with answering(context):
            standing = await self.calls.standing(context)
            standing.require_auditor()
            query = session_query(request)
            is_current = await self._ready(query)
            if query.text:
                await self.store.append(_searching(query.text, standing.person))
            page = await self.store.sessions(query)
            return pb.ListSessionsResponse(
                sessions=[session_message(session) for session in page.items],
                next_page_token=page.next_page_token,
                is_behind=not is_current,
                damaged=map(safe_text, page.damaged),
            )

    async def _ready(self, query: SessionQuery) -> bool:
        """Whether the index, if this is a question for it, has all that is on record."""
        if query.text and not self.index.has_texts:
            message = "what was asked and answered is not indexed here: record.search_texts is off"
            raise Conflict(message, code="search_off")
        if not (query.text or query.group or query.entity or query.reviewer):
            return True
        return await self.index.refresh()

    async def GetSession(
        self, request: pb.GetSessionRequest, context: Context
    ) -> AsyncIterator[pb.GetSessionResponse]:
        """The whole session, after an entry says who reads it."""
        async with answering(context):
            person, why = await self._reader(request, context)
            session = await self.store.session(request.id)
            if session is None:
                raise NotFound("there is no such session", code="session_not_found")
            await self.store.append(_reading(session.id, person, why))
            entries = await self.store.entries(session.id)
            for response in _responses(session, entries, before_masking=request.before_masking):
                yield response

    async def GetSessions(
        self, request: pb.GetSessionsRequest, context: Context
    ) -> AsyncIterator[pb.GetSessionResponse]:
        """Whole sessions, after an entry of each says who reads it, all in one commit, as for an export."""
        async with answering(context):
            person, why = await self._reader(request, context)
            left = await self.store.some_sessions(session_names(request))
            if left:
                await self.store.append(*(_reading(session.id, person, why) for session in left))
            while left:
                self.calls.require_live(person)
                read = await self.store.some_entries([session.id for session in left], most=READ_BYTES)
                for session, entries in zip(left, read, strict=False):
                    for response in _responses(session, entries, before_masking=request.before_masking):
                        yield response
                left = left[len(read) :]

    async def _reader(
        self, request: pb.GetSessionRequest | pb.GetSessionsRequest, context: Context
    ) -> tuple[Caller, str | None]:
        """Who reads, and why what was there before masking, if that is asked for; raises `Forbidden`."""
        standing = await self.calls.standing(context)
        standing.require_auditor()
        if not request.before_masking:
            return standing.person, None
        standing.require_originals()
        return standing.person, reading_reason(request.reason)

    async def TailSessions(
        self, request: pb.TailSessionsRequest, context: Context
    ) -> AsyncIterator[pb.TailSessionsResponse]:
        """What is put on record, as it is."""
        async with answering(context):
            standing = await self.calls.standing(context)
            standing.require_auditor()
            after = read_cursor(request.cursor)
            if request.session:
                if await self.store.session(request.session) is None:
                    raise NotFound("there is no such session", code="session_not_found")
                await self.store.append(_reading(request.session, standing.person))
            following = follow(
                self.store,
                self.calls,
                standing.person,
                session=request.session,
                after=after,
                every=self.poll,
                is_stopping=self.is_stopping,
            )
            async for cursor, entries in following:
                yield pb.TailSessionsResponse(
                    cursor=str(cursor), entries=[entry_message(entry) for entry in entries]
                )
            raise Unavailable("the service is stopping; tail on when it is back", code="stopping")

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: Context) -> pb.GetPolicyResponse:
        """The file, which has no personal data but what its author put there."""
        async with answering(context):
            (await self.calls.standing(context)).require_auditor()
            file = await self.store.policy_file(request.digest) if request.digest else None
            if file is None:
                message = "no policy with this digest is on record, or it is not kept any more"
                raise NotFound(message, code="policy_not_found")
            return pb.GetPolicyResponse(file=file)

    async def KillSession(self, request: pb.KillSessionRequest, context: Context) -> pb.KillSessionResponse:
        """Mark it; whichever gateway has it ends it."""
        async with answering(context):
            standing = await self.calls.standing(context)
            standing.require_killer()
            entry = killing(request.id, kill_reason(request.reason), standing.person)
            killed = await self.store.kill(request.id, entry)
            return pb.KillSessionResponse(session=session_message(killed))


def killing(session: str, reason: str, operator: Caller) -> EntryDraft:
    """The entry by which a session is to end; the caller reads the reason."""
    payloads = {"operator": caller_payload(operator), "reason": reason.encode(errors="replace")}
    return EntryDraft(Kind.SESSION_KILLED, session, payloads=payloads, subject=operator.identity)


def _responses(
    session: Session, entries: Sequence[Entry], *, before_masking: bool
) -> Iterator[pb.GetSessionResponse]:
    """A session in messages, the first of them with its columns."""
    response = pb.GetSessionResponse(session=session_message(session))
    size = 0
    for entry in entries:
        response.entries.append(entry_message(entry, before_masking=before_masking))
        size += len(entry.body) + sum(len(body) for body in entry.payloads.values())
        if size >= BATCH_BYTES:
            yield response
            response, size = pb.GetSessionResponse(), 0
    yield response


def _searching(text: str, reader: Caller) -> EntryDraft:
    payloads = {"reader": caller_payload(reader), "text": text.encode(errors="replace")}
    return EntryDraft(Kind.SESSION_SEARCHED, payloads=payloads, subject=reader.identity)


def _reading(session: str, reader: Caller, before_masking: str | None = None) -> EntryDraft:
    """The reader is a payload: entries themselves carry no personal data.

    `before_masking` is why what was there before masking is read, None where it is not.
    """
    payloads = {"reader": caller_payload(reader)}
    if before_masking is None:
        return EntryDraft(Kind.SESSION_READ, session, {}, payloads, reader.identity)
    payloads["reason"] = before_masking.encode(errors="replace")
    return EntryDraft(Kind.SESSION_READ, session, {"before_masking": True}, payloads, reader.identity)
