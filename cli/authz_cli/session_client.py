"""Calls of the SessionService."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice

import click
import grpc

from authz_api.v1 import sessions_pb2
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_cli.calls import LONG_PATIENCE, PATIENCE, Calls, Metadata
from authz_cli.channel import channel_to
from authz_cli.listed import only_one, pages, tell_damaged
from authz_cli.options import Target
from authz_cli.refusals import code_of, failure, status_of

READ_AT_ONCE = 50  # sessions in one call, each of them on record before the first is given
READ_PATIENCE = 3600.0  # seconds for these: a collector may take half a minute for each

Whole = tuple[sessions_pb2.Session, list[sessions_pb2.Entry]]
"""A session and its entries."""


@dataclass(frozen=True, slots=True)
class SessionClient(Calls):
    """One connection. Every method raises `Failure`."""

    sessions_api: SessionServiceStub

    def sessions(self, request: sessions_pb2.ListSessionsRequest) -> Iterator[sessions_pb2.Session]:
        """All pages, newest first."""
        list_sessions = self.sessions_api.ListSessions
        for page in pages(
            request, lambda: self.call(lambda m: list_sessions(request, timeout=PATIENCE, metadata=m))
        ):
            tell_damaged("session", page.damaged)
            yield from page.sessions
            if page.is_behind and not page.next_page_token:
                click.echo("the newest sessions are not in the index yet; ask again for them", err=True)

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
        return self.call(lambda m: self._read_session(only, why, m))

    def read(self, names: Iterator[str], *, why: str | None = None) -> Iterator[Whole]:
        """These sessions, named by their whole ids, as `session`; one that is gone meanwhile is left out.

        An earlier version of the service is asked for each, and refuses one that is gone.
        """
        while some := list(islice(names, READ_AT_ONCE)):
            while some:
                left = some
                try:
                    for whole in self._read_some(some, why):
                        left = left[left.index(whole[0].id) + 1 :] if whole[0].id in left else left
                        yield whole
                    break
                except grpc.RpcError as error:
                    if status_of(error) is grpc.StatusCode.UNIMPLEMENTED:  # an earlier version
                        yield from (self.session(name, why=why) for name in some)
                        break
                    # Whoever takes what is read may take longer than a token lasts: on with a new one.
                    if code_of(error) != "token_expired" or left == some:
                        raise failure(error, self.login) from error
                some = left

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
        return self.call(
            lambda m: self.sessions_api.KillSession(request, timeout=PATIENCE, metadata=m)
        ).session

    def _read_session(
        self, session: str, why: str | None, metadata: Metadata
    ) -> tuple[sessions_pb2.Session, list[sessions_pb2.Entry]]:
        request = sessions_pb2.GetSessionRequest(id=session, before_masking=why is not None, reason=why or "")
        parts = list(self.sessions_api.GetSession(request, timeout=LONG_PATIENCE, metadata=metadata))
        return parts[0].session, [entry for part in parts for entry in part.entries]

    def _read_some(self, names: list[str], why: str | None) -> Iterator[Whole]:
        request = sessions_pb2.GetSessionsRequest(ids=names, before_masking=why is not None, reason=why or "")
        whole: Whole | None = None
        expired: grpc.RpcError | None = None
        parts = self.sessions_api.GetSessions(request, timeout=READ_PATIENCE, metadata=self._metadata())
        try:
            for part in parts:
                if part.HasField("session"):
                    if whole is not None:
                        yield whole
                    whole = (part.session, [])
                if whole is not None:
                    whole[1].extend(part.entries)
        except grpc.RpcError as error:
            if code_of(error) != "token_expired":
                raise
            expired = error  # between two sessions: the last one is whole
        if whole is not None:
            yield whole
        if expired is not None:
            raise expired


@contextmanager
def connect(target: Target) -> Iterator[SessionClient]:
    """A client for the server that `target` leads to; the connection is made by the first call."""
    with channel_to(target) as (login, channel):
        yield SessionClient(login, SessionServiceStub(channel))
