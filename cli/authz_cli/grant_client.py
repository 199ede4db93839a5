"""Calls of the GrantService, and of the HoldService for the holds that grants are made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from authz_api.v1 import grants_pb2 as pb
from authz_api.v1.grants_pb2_grpc import GrantServiceStub
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_cli.calls import PATIENCE, new_key
from authz_cli.channel import channel_to
from authz_cli.hold_client import HoldClient
from authz_cli.listed import only_one, pages, tell_damaged
from authz_cli.options import Target


@dataclass(frozen=True, slots=True)
class GrantClient(HoldClient):
    """One connection. Every method raises `Failure`."""

    grants_api: GrantServiceStub

    def grants(self, request: pb.ListGrantsRequest) -> Iterator[tuple[pb.Grant, pb.ListGrantsResponse]]:
        """All pages, newest first: each grant with the page that it came on."""
        for page in self._pages(request):
            tell_damaged("grant", page.damaged)
            yield from ((grant, page) for grant in page.grants)

    def grant(self, name: str) -> pb.GetGrantResponse:
        """One grant with its uses, by its id or by a beginning of it that no other has."""
        request = pb.GetGrantRequest(id=name)
        found = self._found(lambda m: self.grants_api.GetGrant(request, timeout=PATIENCE, metadata=m))
        if found is not None:
            return found
        listed = self.grants(pb.ListGrantsRequest(id_prefix=name))
        request.id = only_one("grant", name, (grant.id for grant, _ in listed))
        return self.call(lambda m: self.grants_api.GetGrant(request, timeout=PATIENCE, metadata=m))

    def endable(self, name: str) -> tuple[str, pb.Grant | None]:
        """The id that `name` is, or is a beginning of, and the grant; None for one that cannot be read."""
        request = pb.ListGrantsRequest(id_prefix=name)
        found: dict[str, pb.Grant | None] = {}
        for page in self._pages(request):
            found |= {**dict.fromkeys(page.damaged), **{grant.id: grant for grant in page.grants}}
        grant = only_one("grant", name, iter(found), whole=True)
        return grant, found[grant]

    def create(self, request: pb.CreateGrantRequest) -> pb.CreateGrantResponse:
        """Vote for terms; sent again when the server does not answer."""
        request.idempotency_key = new_key()
        return self._vote(lambda m: self.grants_api.CreateGrant(request, timeout=PATIENCE, metadata=m))

    def agree(self, grant: str, *, digest: str, reason: str) -> pb.ApproveGrantResponse:
        """Vote for a proposal; sent again when the server does not answer."""
        request = pb.ApproveGrantRequest(id=grant, digest=digest, reason=reason, idempotency_key=new_key())
        return self._vote(lambda m: self.grants_api.ApproveGrant(request, timeout=PATIENCE, metadata=m))

    def revoke(self, grant: str, *, reason: str, is_to_kill: bool) -> pb.RevokeGrantResponse:
        """End one; sent again when the server does not answer."""
        request = pb.RevokeGrantRequest(id=grant, reason=reason, kill=is_to_kill, idempotency_key=new_key())
        return self._vote(lambda m: self.grants_api.RevokeGrant(request, timeout=PATIENCE, metadata=m))

    def _pages(self, request: pb.ListGrantsRequest) -> Iterator[pb.ListGrantsResponse]:
        list_grants = self.grants_api.ListGrants
        return pages(request, lambda: self.call(lambda m: list_grants(request, timeout=PATIENCE, metadata=m)))


@contextmanager
def connect(target: Target) -> Iterator[GrantClient]:
    """A client for the server that `target` leads to; the connection is made by the first call."""
    with channel_to(target) as (login, channel):
        yield GrantClient(login, HoldServiceStub(channel), GrantServiceStub(channel))
