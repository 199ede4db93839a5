"""Calls of the review API, with its refusals as errors of one line and an exit code."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import click
import grpc

from authz_api.v1 import holds_pb2, sessions_pb2
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_cli.exits import Exit, Failure
from authz_cli.login import Login, log_in
from authz_cli.options import Target

Answer = TypeVar("Answer")
Metadata = tuple[tuple[str, str], ...]

MAX_MESSAGE = 64 * 1024 * 1024
PATIENCE = 30.0  # seconds for one answer
LONG_PATIENCE = 600.0  # seconds for all entries of a session
ATTEMPTS = 3  # of a vote; its idempotency key makes them one
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_EXITS = {
    grpc.StatusCode.UNAUTHENTICATED: Exit.NOT_PERMITTED,
    grpc.StatusCode.PERMISSION_DENIED: Exit.NOT_PERMITTED,
    grpc.StatusCode.NOT_FOUND: Exit.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION: Exit.CONFLICT,
    grpc.StatusCode.INVALID_ARGUMENT: Exit.USAGE,
}


@dataclass(frozen=True, slots=True)
class Client:
    """One connection. Every method raises `Failure`."""

    login: Login
    holds_api: HoldServiceStub
    sessions_api: SessionServiceStub

    def holds(
        self, request: holds_pb2.ListHoldsRequest
    ) -> Iterator[tuple[holds_pb2.Hold, holds_pb2.ListHoldsResponse]]:
        """All pages, newest first: each hold with the page that it came on."""
        while True:
            page = self._call(lambda m: self.holds_api.ListHolds(request, timeout=PATIENCE, metadata=m))
            yield from ((hold, page) for hold in page.holds)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def hold(self, name: str) -> holds_pb2.GetHoldResponse:
        """One hold with its body, by its id or by a beginning of it that no other has."""
        request = holds_pb2.GetHoldRequest(id=name)
        found = self._found(lambda m: self.holds_api.GetHold(request, timeout=PATIENCE, metadata=m))
        if found is not None:
            return found
        listed = self.holds(holds_pb2.ListHoldsRequest(id_prefix=name))
        request.id = only_one("hold", name, (hold.id for hold, _ in listed))
        return self._call(lambda m: self.holds_api.GetHold(request, timeout=PATIENCE, metadata=m))

    def hold_id(self, name: str) -> str:
        """The id of the hold that `name` is, or is a beginning of, without reading what it holds."""
        request = holds_pb2.ListHoldsRequest(id_prefix=name)
        found = (hold.id for hold, _ in self.holds(request))
        return only_one("hold", name, found, whole=True)

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

    def respond(self, hold: str, *, digest: str, text: str, reason: str) -> holds_pb2.RespondHoldResponse:
        """Answer in the place of the model; sent again when the server does not answer."""
        request = holds_pb2.RespondHoldRequest(
            id=hold, digest=digest, text=text, reason=reason, idempotency_key=new_key()
        )
        return self._vote(lambda m: self.holds_api.RespondHold(request, timeout=PATIENCE, metadata=m))

    def watch(self, cursor: str) -> Iterator[holds_pb2.WatchHoldsResponse]:
        """One stream, until the server ends it; raises `grpc.RpcError` as it comes."""
        request = holds_pb2.WatchHoldsRequest(cursor=cursor)
        return iter(self.holds_api.WatchHolds(request, metadata=self._metadata()))

    def sessions(self, request: sessions_pb2.ListSessionsRequest) -> Iterator[sessions_pb2.Session]:
        """All pages, newest first."""
        while True:
            page = self._call(lambda m: self.sessions_api.ListSessions(request, timeout=PATIENCE, metadata=m))
            yield from page.sessions
            if not page.next_page_token:
                if page.is_behind:
                    click.echo("the newest sessions are not in the index yet; ask again for them", err=True)
                return
            request.page_token = page.next_page_token

    def session(
        self, name: str, *, why: str | None = None
    ) -> tuple[sessions_pb2.Session, list[sessions_pb2.Entry]]:
        """One session and its entries, by its id or by a beginning of it that no other has.

        With `why`, the reason, what was there before masking is among them.
        """
        found = self._found(lambda m: self._read_session(name, why, m))
        if found is not None:
            return found
        listed = self.sessions(sessions_pb2.ListSessionsRequest(id_prefix=name))
        only = only_one("session", name, (session.id for session in listed))
        return self._call(lambda m: self._read_session(only, why, m))

    def policy(self, digest: str) -> bytes | None:
        """The configuration file that a decision names; None when it is not kept."""
        request = sessions_pb2.GetPolicyRequest(digest=digest)
        found = self._found(lambda m: self.sessions_api.GetPolicy(request, timeout=PATIENCE, metadata=m))
        return None if found is None else found.file

    def tail(self, cursor: str, session: str) -> Iterator[sessions_pb2.TailSessionsResponse]:
        """One stream, until the server ends it; raises `grpc.RpcError` as it comes."""
        request = sessions_pb2.TailSessionsRequest(cursor=cursor, session=session)
        return iter(self.sessions_api.TailSessions(request, metadata=self._metadata()))

    def kill(self, session: str, *, reason: str) -> sessions_pb2.Session:
        """End a running exchange, named by its whole id."""
        request = sessions_pb2.KillSessionRequest(id=session, reason=reason)
        return self._call(
            lambda m: self.sessions_api.KillSession(request, timeout=PATIENCE, metadata=m)
        ).session

    def _read_session(
        self, session: str, why: str | None, metadata: Metadata
    ) -> tuple[sessions_pb2.Session, list[sessions_pb2.Entry]]:
        request = sessions_pb2.GetSessionRequest(id=session, before_masking=why is not None, reason=why or "")
        parts = list(self.sessions_api.GetSession(request, timeout=LONG_PATIENCE, metadata=metadata))
        return parts[0].session, [entry for part in parts for entry in part.entries]

    def _vote(self, call: Callable[[Metadata], Answer]) -> Answer:
        for _ in range(ATTEMPTS - 1):
            try:
                return call(self._metadata())
            except grpc.RpcError as error:
                if status_of(error) not in AWAY:
                    raise failure(error, self.login) from error
        return self._call(call)

    def _found(self, call: Callable[[Metadata], Answer]) -> Answer | None:
        try:
            return call(self._metadata())
        except grpc.RpcError as error:
            if status_of(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise failure(error, self.login) from error

    def _call(self, call: Callable[[Metadata], Answer]) -> Answer:
        try:
            return call(self._metadata())
        except grpc.RpcError as error:
            raise failure(error, self.login) from error

    def _metadata(self) -> Metadata:
        return (("authorization", f"Bearer {self.login.token()}"),)


@contextmanager
def connect(target: Target) -> Iterator[Client]:
    """A client for the server that `target` leads to; the connection is made by the first call."""
    with channel_to(target) as (login, channel):
        yield Client(login, HoldServiceStub(channel), SessionServiceStub(channel))


@contextmanager
def channel_to(target: Target) -> Iterator[tuple[Login, grpc.Channel]]:
    """Who calls, and the way to the server."""
    login = log_in(target)
    with open_channel(login) as channel:
        yield login, channel


def open_channel(login: Login) -> grpc.Channel:
    """The way to the server; nothing is sent yet."""
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.keepalive_time_ms", 30_000),  # a watch on a server that is gone without a word ends
        ("grpc.enable_http_proxy", 0),  # a proxy from the environment has no business with tokens
    ]
    return _channel(login, options)


def failure(error: grpc.RpcError, login: Login) -> Failure:
    """What a refused call means to who typed the command."""
    status = status_of(error)
    call = _call_of(error)
    details = (call.details() or "") if call else ""
    if status in AWAY and not code_of(error):
        return Failure(f"the server at {login.address} does not answer: {_why_away(login)}", Exit.AWAY)
    if status in AWAY:
        return Failure(f"the server cannot answer now: {details}", Exit.AWAY)
    return Failure(details or "the server refused and did not say why", _EXITS.get(status, Exit.REFUSED))


def _why_away(login: Login) -> str:
    if login.address.startswith("unix:"):
        return "is `authz up` running?"
    return "is it running, and signed by an authority that --ca names?"


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status of a failed call; UNKNOWN for one that has none."""
    call = _call_of(error)
    return call.code() if call else grpc.StatusCode.UNKNOWN


def code_of(error: grpc.RpcError) -> str:
    """The server's stable word for what was wrong; empty when it was not the server that spoke."""
    call = _call_of(error)
    metadata = (call.trailing_metadata() or ()) if call else ()
    return next((str(value) for key, value in metadata if key == "authz-code"), "")


def first_of(items: Iterator[Answer], limit: int) -> list[Answer]:
    """At most `limit` of them; when there are more, that is said, not passed over."""
    found = list(islice(items, limit + 1))
    if len(found) > limit:
        click.echo(f"there are more than {limit}: say --limit, or filter", err=True)
    return found[:limit]


def _call_of(error: object) -> grpc.Call | None:
    # Every RpcError of a call is also the call; the types do not say so.
    return error if isinstance(error, grpc.Call) else None


def only_one(noun: str, name: str, ids: Iterator[str], *, whole: bool = False) -> str:
    """The one id that begins with `name`; with `whole`, one that is `name` itself comes first."""
    # The server filters; what it names must still begin with what was typed, or another thing is decided.
    matches = [i for i in ids if i.startswith(name)] if whole and name else _two(name, ids)
    if whole and name in matches:
        return name
    if not matches:
        raise Failure(f"there is no {noun} {name} that you may see; try: authz {noun} list", Exit.NOT_FOUND)
    if len(matches) > 1:
        raise Failure(f"several {noun}s begin with {name}: say more of the id", Exit.USAGE)
    return matches[0]


def _two(name: str, ids: Iterator[str]) -> list[str]:
    return list(islice((i for i in ids if name and i.startswith(name)), 2))


def new_key() -> str:
    """An idempotency key: a call that is sent again with it is one."""
    return str(uuid.uuid4())


def _channel(login: Login, options: list[tuple[str, int]]) -> grpc.Channel:
    if login.address.startswith("unix:"):
        return grpc.insecure_channel(login.address, options=options)
    try:
        root = login.ca.read_bytes() if login.ca else None
    except OSError as error:
        raise Failure(f"cannot read {login.ca}: {error.strerror}", Exit.USAGE) from error
    return grpc.secure_channel(login.address, grpc.ssl_channel_credentials(root), options=options)
