"""Calls of the HoldService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from authz_api.v1 import holds_pb2
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_cli.calls import LONG_PATIENCE, PATIENCE, Calls, new_key
from authz_cli.channel import channel_to
from authz_cli.exits import Failure
from authz_cli.listed import only_one, pages, tell_damaged
from authz_cli.options import Target
from authz_cli.refusals import status_of


@dataclass(frozen=True, slots=True)
class HoldClient(Calls):
    """One connection. Every method raises `Failure`."""

    holds_api: HoldServiceStub

    def holds(
        self, request: holds_pb2.ListHoldsRequest
    ) -> Iterator[tuple[holds_pb2.Hold, holds_pb2.ListHoldsResponse]]:
        """All pages, newest first: each hold with the page that it came on. What is damaged is named."""
        list_holds = self.holds_api.ListHolds
        for page in pages(
            request, lambda: self.call(lambda m: list_holds(request, timeout=PATIENCE, metadata=m))
        ):
            tell_damaged("hold", page.damaged)
            yield from ((hold, page) for hold in page.holds)

    def hold(self, name: str) -> holds_pb2.GetHoldResponse:
        """One hold with its body, by its id or by a beginning of it that no other has."""
        request = holds_pb2.GetHoldRequest(id=name)
        found = self._found(lambda m: self.holds_api.GetHold(request, timeout=PATIENCE, metadata=m))
        if found is not None:
            return found
        listed = self.holds(holds_pb2.ListHoldsRequest(id_prefix=name))
        request.id = only_one("hold", name, (hold.id for hold, _ in listed))
        return self.call(lambda m: self.holds_api.GetHold(request, timeout=PATIENCE, metadata=m))

    def hold_id(self, name: str) -> str:
        """The id of the hold that `name` is, or is a beginning of, without reading what it holds."""
        request = holds_pb2.ListHoldsRequest(id_prefix=name)
        found = (hold.id for hold, _ in self.holds(request))
        return only_one("hold", name, found, whole=True)

    def listed(self, name: str) -> holds_pb2.GetHoldResponse:
        """The hold that `name` is, or is a beginning of, as lists have it: without its body, and not read."""
        request = holds_pb2.ListHoldsRequest(id_prefix=name)
        found = {hold.id: (hold, page.as_of) for hold, page in self.holds(request)}
        hold, as_of = found[only_one("hold", name, iter(found), whole=True)]
        return holds_pb2.GetHoldResponse(hold=hold, as_of=as_of)

    def approve(
        self, hold: str, *, digest: str, reason: str, break_glass: bool = False
    ) -> holds_pb2.ApproveHoldResponse:
        """Vote for; sent again when the server does not answer."""
        request = holds_pb2.ApproveHoldRequest(
            id=hold, digest=digest, reason=reason, idempotency_key=new_key(), break_glass=break_glass
        )
        return self._vote(lambda m: self.holds_api.ApproveHold(request, timeout=PATIENCE, metadata=m))

    def reject(
        self, hold: str, *, digest: str, reason: str, break_glass: bool = False
    ) -> holds_pb2.RejectHoldResponse:
        """Vote against; sent again when the server does not answer."""
        request = holds_pb2.RejectHoldRequest(
            id=hold, digest=digest, reason=reason, idempotency_key=new_key(), break_glass=break_glass
        )
        return self._vote(lambda m: self.holds_api.RejectHold(request, timeout=PATIENCE, metadata=m))

    def decide(self, request: holds_pb2.DecideHoldsRequest) -> holds_pb2.DecideHoldsResponse:
        """The same vote on many holds; sent again when the server does not answer."""
        request.idempotency_key = new_key()
        return self._vote(lambda m: self.holds_api.DecideHolds(request, timeout=LONG_PATIENCE, metadata=m))

    def withdraw(self, hold: str, *, reason: str) -> holds_pb2.WithdrawVoteResponse:
        """Take one's votes back."""
        request = holds_pb2.WithdrawVoteRequest(id=hold, reason=reason, idempotency_key=new_key())
        return self._vote(lambda m: self.holds_api.WithdrawVote(request, timeout=PATIENCE, metadata=m))

    def claim(self, hold: str) -> holds_pb2.ClaimHoldResponse:
        """Say that one looks at it."""
        request = holds_pb2.ClaimHoldRequest(id=hold, idempotency_key=new_key())
        return self._vote(lambda m: self.holds_api.ClaimHold(request, timeout=PATIENCE, metadata=m))

    def release_claim(self, hold: str) -> holds_pb2.ReleaseClaimResponse:
        """Say that one looks at it no longer."""
        request = holds_pb2.ReleaseClaimRequest(id=hold, idempotency_key=new_key())
        return self._vote(lambda m: self.holds_api.ReleaseClaim(request, timeout=PATIENCE, metadata=m))

    def comment(self, hold: str, *, text: str) -> holds_pb2.CommentHoldResponse:
        """Write to the other reviewers."""
        request = holds_pb2.CommentHoldRequest(id=hold, text=text, idempotency_key=new_key())
        return self._vote(lambda m: self.holds_api.CommentHold(request, timeout=PATIENCE, metadata=m))

    def review(self, hold: str, *, reason: str) -> holds_pb2.ReviewHoldResponse:
        """Review what somebody decided alone."""
        request = holds_pb2.ReviewHoldRequest(id=hold, reason=reason, idempotency_key=new_key())
        return self._vote(lambda m: self.holds_api.ReviewHold(request, timeout=PATIENCE, metadata=m))

    def edit(
        self,
        hold: str,
        *,
        digest: str,
        reason: str,
        body: bytes = b"",
        texts: Mapping[str, str] | None = None,
    ) -> holds_pb2.EditHoldResponse:
        """Put an edited request, or edited texts of an answer, in its place.

        Sent again when the server does not answer.
        """
        edited = [holds_pb2.AnswerText(name=name, text=text) for name, text in (texts or {}).items()]
        request = holds_pb2.EditHoldRequest(
            id=hold, digest=digest, body=body, texts=edited, reason=reason, idempotency_key=new_key()
        )
        return self._vote(lambda m: self.holds_api.EditHold(request, timeout=PATIENCE, metadata=m))

    def preview_edit(
        self, hold: str, *, digest: str, body: bytes = b"", texts: Mapping[str, str] | None = None
    ) -> holds_pb2.PreviewEditResponse | None:
        """What `edit` would change; None where the server is too old to say."""
        edited = [holds_pb2.AnswerText(name=name, text=text) for name, text in (texts or {}).items()]
        request = holds_pb2.EditHoldRequest(id=hold, digest=digest, body=body, texts=edited)
        try:
            return self.call(
                lambda m: self.holds_api.PreviewEdit(request, timeout=PATIENCE, metadata=m),
                unimplemented="the server shows no edits before they are made",
            )
        except Failure as failure:
            cause = failure.__cause__
            if isinstance(cause, grpc.RpcError) and status_of(cause) is grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise

    def respond(self, hold: str, *, digest: str, text: str, reason: str) -> holds_pb2.RespondHoldResponse:
        """Answer in the place of the model; sent again when the server does not answer."""
        request = holds_pb2.RespondHoldRequest(
            id=hold, digest=digest, text=text, reason=reason, idempotency_key=new_key()
        )
        return self._vote(lambda m: self.holds_api.RespondHold(request, timeout=PATIENCE, metadata=m))

    def watch(self, cursor: str, known: Iterable[str] = ()) -> Iterator[holds_pb2.WatchHoldsResponse]:
        """One stream, until the server ends it; raises `grpc.RpcError` as it comes.

        `known` are the ids of holds that were told before.
        """
        request = holds_pb2.WatchHoldsRequest(cursor=cursor, known=known)
        return iter(self.holds_api.WatchHolds(request, metadata=self._metadata()))


@contextmanager
def connect(target: Target) -> Iterator[HoldClient]:
    """A client for the server that `target` leads to; the connection is made by the first call."""
    with channel_to(target) as (login, channel):
        yield HoldClient(login, HoldServiceStub(channel))
