"""The RecordService of authz.v1: exports are recorded before they are made, and officers let go and keep."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from authz_api.v1 import record_pb2 as pb
from authz_api.v1.record_pb2_grpc import RecordServiceServicer
from authz_service.audit.draft import EntryDraft
from authz_service.audit.retention import Retention
from authz_service.config.keeping_values import Keep
from authz_service.core.entries import caller_payload, exported
from authz_service.core.forgetting import ForgettingStore, Kept, Order, Purged, PurgeRequest
from authz_service.errors import NotFound, Unreadable
from authz_service.runtime.retention import duration, purge_all, times
from authz_service.servers.review_calls import Calls, Context, answering
from authz_service.servers.review_messages import timestamp
from authz_service.servers.review_requests import order_reason
from authz_service.store.signed_head import SignedHead
from authz_service.view.caller import Caller

_PSEUDONYM = re.compile("[0-9a-f]{32}")
LARGEST_NUMBER = 1 << 62  # of an entry
LONGEST_AGE = 36_500 * 86_400  # seconds, as record.keep has it


class RecordStore(Protocol):
    """What this API asks of the store."""

    @property
    def forgetting(self) -> ForgettingStore: ...

    def append(self, *entries: EntryDraft) -> Awaitable[None]:
        """Commit entries; raises `Unavailable`."""
        ...

    async def payloads_of(self, first: int, last: int | None) -> int:
        """How many payloads these entries have, up to the last one for None; raises `Unavailable`."""
        ...

    async def signed_head(self) -> SignedHead:
        """How many entries there are; raises `Unavailable`."""
        ...

    async def now(self) -> float:
        """The database's clock; raises `Unavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class RecordReview(RecordServiceServicer):
    """`keep` is that of the configuration in force, `pseudonym` the record's."""

    store: RecordStore
    calls: Calls
    keep: Callable[[], Keep]
    pseudonym: Callable[[tuple[str, str]], str]

    async def RecordExport(
        self, request: pb.RecordExportRequest, context: Context
    ) -> pb.RecordExportResponse:
        """Say who takes which payloads out, and how far they may go."""
        async with answering(context):
            standing = await self.calls.standing(context)
            standing.require_auditor()
            first, last = request.first, request.last or None
            if not 0 < first <= (last or LARGEST_NUMBER) <= LARGEST_NUMBER:
                raise Unreadable("first and last are numbers of entries, from 1", code="range_unreadable")
            person = standing.person
            reader = self.pseudonym(person.identity)
            count = await self.store.payloads_of(first, last)
            name = caller_payload(person)
            await self.store.append(exported(first, last, payloads=count, reader=reader, name=name))
            return pb.RecordExportResponse(size=(await self.store.signed_head()).size)

    async def PurgeRecord(self, request: pb.PurgeRecordRequest, context: Context) -> pb.PurgeRecordResponse:
        """All batches, or what they would take."""
        async with answering(context):
            person = await self._officer(context)
            retention, age = self._asked(request)
            order = None if request.dry_run else _order(person, request.reason)
            before = round((await self.store.now() - age) * 1_000_000)
            asked = PurgeRequest(retention, before, f"by hand, older than {duration(age)}", order)
            forgetting = self.store.forgetting
            taken = await (forgetting.purge_preview if request.dry_run else _all(forgetting))(asked)
            return pb.PurgeRecordResponse(entries=taken.entries, payloads=taken.payloads, bytes=taken.size)

    async def FindPeople(self, request: pb.FindPeopleRequest, context: Context) -> pb.FindPeopleResponse:
        """Those whom the record has, by a name."""
        async with answering(context):
            await self._officer(context)
            found = await self.store.forgetting.people(request.name)
            people = [pb.Person(pseudonym=p.pseudonym, issuer=p.issuer, subject=p.subject) for p in found]
            return pb.FindPeopleResponse(people=people)

    async def ErasePerson(self, request: pb.ErasePersonRequest, context: Context) -> pb.ErasePersonResponse:
        """Their keys, and what is left."""
        async with answering(context):
            order = _order(await self._officer(context), request.reason)
            await self._require_known(request.pseudonym)
            erased = await self.store.forgetting.erase(request.pseudonym, order)
            return pb.ErasePersonResponse(
                sessions=erased.sessions,
                payloads=erased.payloads,
                votes=erased.votes,
                keys=erased.keys,
                damaged=erased.damaged,
            )

    async def KeepRecord(self, request: pb.KeepRecordRequest, context: Context) -> pb.KeepRecordResponse:
        """A session, or all of one person's."""
        async with answering(context):
            order = _order(await self._officer(context), request.reason)
            if not (request.session or request.subject):
                raise Unreadable("name a session, or a person by pseudonym", code="keep_required")
            if request.subject:
                await self._require_known(request.subject)
            made = await self.store.forgetting.keep(
                session=request.session or None, subject=request.subject or None, order=order
            )
            return pb.KeepRecordResponse(id=made.id)

    async def LiftKeep(self, request: pb.LiftKeepRequest, context: Context) -> pb.LiftKeepResponse:
        """What it kept may go from now on."""
        async with answering(context):
            order = _order(await self._officer(context), request.reason)
            await self.store.forgetting.lift(request.id, order)
            return pb.LiftKeepResponse()

    async def ListKeeps(self, request: pb.ListKeepsRequest, context: Context) -> pb.ListKeepsResponse:
        """All in force."""
        async with answering(context):
            await self._officer(context)
            return pb.ListKeepsResponse(keeps=map(_message, await self.store.forgetting.keeps()))

    async def _officer(self, context: Context) -> Caller:
        standing = await self.calls.standing(context)
        standing.require_record_officer()
        return standing.person

    async def _require_known(self, pseudonym: str) -> None:
        """Anything else would stand in entries for ever, and may be a name; or do nothing, and say it did."""
        if _PSEUDONYM.fullmatch(pseudonym) is None:
            message = "name a person by pseudonym (32 hexadecimal digits), as FindPeople does"
            raise Unreadable(message, code="person_required")
        found = await self.store.forgetting.people(pseudonym)
        if all(person.pseudonym != pseudonym for person in found):
            message = "nobody on record has this pseudonym; see whom a name means: FindPeople"
            raise NotFound(message, code="person_not_found")

    def _asked(self, request: pb.PurgeRecordRequest) -> tuple[Retention, float]:
        classes = {retention.value: retention for retention in Retention}
        retention = classes.get(getattr(request, "class"))
        if retention is None:
            raise Unreadable(f"class is one of {', '.join(classes)}", code="class_unknown")
        if not request.HasField("older_than"):
            return retention, dict(times(self.keep()))[retention]
        age = request.older_than.seconds
        if not 0 <= age <= LONGEST_AGE:
            raise Unreadable("older_than is a time from 0 to 100 years", code="age_unreadable")
        return retention, float(age)


def _all(forgetting: ForgettingStore) -> Callable[[PurgeRequest], Awaitable[Purged]]:
    return lambda request: purge_all(forgetting, request)


def _order(person: Caller, reason: str) -> Order:
    return Order(person.person or person.subject, order_reason(reason), person.identity)


def _message(kept: Kept) -> pb.Keep:
    return pb.Keep(
        id=kept.keep.id,
        session=kept.keep.session or "",
        subject=kept.keep.subject or "",
        at=timestamp(kept.keep.at / 1_000_000),
        by=kept.order.by,
        reason=kept.order.reason,
    )
