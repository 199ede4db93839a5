"""Calls of the SessionService."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from authz_api.v1 import sessions_pb2
from authz_api.v1.sessions_pb2_grpc import SessionServiceStub
from authz_cli.calls import LONG_PATIENCE, PATIENCE, Calls, Metadata
from authz_cli.channel import channel_to
from authz_cli.listed import only_one
from authz_cli.options import Target


@dataclass(frozen=True, slots=True)
class SessionClient(Calls):
    """One connection. Every method raises `Failure`."""

    sessions_api: SessionServiceStub

    def sessions(self, request: sessions_pb2.ListSessionsRequest) -> Iterator[sessions_pb2.Session]:
        """All pages, newest first."""
        while True:
            page = self.call(lambda m: self.sessions_api.ListSessions(request, timeout=PATIENCE, metadata=m))
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
        return self.call(lambda m: self._read_session(only, why, m))

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


@contextmanager
def connect(target: Target) -> Iterator[SessionClient]:
    """A client for the server that `target` leads to; the connection is made by the first call."""
    with channel_to(target) as (login, channel):
        yield SessionClient(login, SessionServiceStub(channel))
