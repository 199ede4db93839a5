"""What the commands of `authz record` ask of a running service, as whoever is logged in."""

from __future__ import annotations

from collections.abc import Sequence

from authz_api.v1 import record_pb2 as pb
from authz_api.v1.record_pb2_grpc import RecordServiceStub
from authz_cli.calls import LONG_PATIENCE, calling
from authz_cli.options import Target
from authz_service.audit.forgotten import Keep
from authz_service.audit.retention import Retention
from authz_service.commands.record_work import only
from authz_service.core.forgetting import Erased, Kept, Order, Person, Purged


class Remote:
    """The record of the service that `target` leads to; see `record_work.Place`.

    Who orders is whom the token names, whatever an `Order` says. Raises `Failure`.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    def purge(
        self, retention: Retention, *, older_than: float | None, by: Order | None, dry_run: bool
    ) -> Purged:
        """See `Place.purge`."""
        request = pb.PurgeRecordRequest(reason="" if by is None else by.reason, dry_run=dry_run)
        setattr(request, "class", retention.value)
        if older_than is not None:
            request.older_than.FromSeconds(round(older_than))
        with calling(self._target, RecordServiceStub) as (api, call):
            said = call(lambda m: api.PurgeRecord(request, timeout=LONG_PATIENCE, metadata=m))
        return Purged(said.entries, said.payloads, said.bytes)

    def person(self, name: str) -> Person:
        """See `Place.person`."""
        with calling(self._target, RecordServiceStub) as (api, call):
            request = pb.FindPeopleRequest(name=name)
            found = call(lambda m: api.FindPeople(request, timeout=LONG_PATIENCE, metadata=m)).people
        return only([Person(p.pseudonym, p.issuer, p.subject) for p in found])

    def erase(self, pseudonym: str, by: Order) -> Erased:
        """See `Place.erase`."""
        with calling(self._target, RecordServiceStub) as (api, call):
            request = pb.ErasePersonRequest(pseudonym=pseudonym, reason=by.reason)
            said = call(lambda m: api.ErasePerson(request, timeout=LONG_PATIENCE, metadata=m))
        return Erased(said.sessions, said.payloads, said.votes, tuple(said.keys), tuple(said.damaged))

    def keep(self, *, session: str | None, subject: str | None, by: Order) -> str:
        """See `Place.keep`."""
        with calling(self._target, RecordServiceStub) as (api, call):
            request = pb.KeepRecordRequest(reason=by.reason)
            if session is not None:
                request.session = session
            if subject is not None:
                request.subject = subject
            return call(lambda m: api.KeepRecord(request, timeout=LONG_PATIENCE, metadata=m)).id

    def lift(self, keep_id: str, by: Order) -> None:
        """See `Place.lift`."""
        with calling(self._target, RecordServiceStub) as (api, call):
            request = pb.LiftKeepRequest(id=keep_id, reason=by.reason)
            call(lambda m: api.LiftKeep(request, timeout=LONG_PATIENCE, metadata=m))

    def keeps(self) -> Sequence[Kept]:
        """See `Place.keeps`."""
        with calling(self._target, RecordServiceStub) as (api, call):
            found = call(
                lambda m: api.ListKeeps(pb.ListKeepsRequest(), timeout=LONG_PATIENCE, metadata=m)
            ).keeps
        return [
            Kept(
                Keep(k.id, 0, k.at.ToMicroseconds(), k.session or None, k.subject or None),
                Order(k.by, k.reason),
            )
            for k in found
        ]

    def record_export(self, first: int, last: int | None) -> int:
        """Have it recorded that payloads of these entries leave; how many entries there are then."""
        with calling(self._target, RecordServiceStub) as (api, call):
            request = pb.RecordExportRequest(first=first, last=last or 0)
            return call(lambda m: api.RecordExport(request, timeout=LONG_PATIENCE, metadata=m)).size
