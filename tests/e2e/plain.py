"""Requests as no SDK would send them, and what is on record of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.people import until
from tests.e2e.raw_client import RawClient, Reply, head
from tests.e2e.stack import CHAT, Stack

from authz_cli.exits import Failure
from authz_cli.options import Target
from authz_cli.session_client import connect
from authz_cli.session_json import session_with_bodies

PATH = "/v1/chat/completions"
HELLO = json.dumps(CHAT).encode()
ENDED = "exchange.ended"
RECOVERED = "exchange.recovered"
Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Plain:
    """One caller, with a new connection for each request."""

    stack: Stack
    token: str

    def head(
        self, *headers: Header, method: str = "POST", target: str = PATH, size: int | None = None
    ) -> bytes:
        """A request's head with the caller's token, of content type JSON unless `headers` has one."""
        own: list[Header] = [("authorization", f"Bearer {self.token}")]
        if "content-type" not in dict(headers):
            own.append(("content-type", "application/json"))
        if size is not None:
            own.append(("content-length", str(size)))
        return head(method, target, *own, *headers)

    def ask(self, body: bytes, *headers: Header, method: str = "POST", target: str = PATH) -> Reply:
        """The answer to a request whose body is sent with its length."""
        sent = self.head(*headers, method=method, target=target, size=len(body)) + body
        return self.exactly(sent, to=method)

    def exactly(self, sent: bytes, *, to: str = "POST") -> Reply:
        """The answer to these very bytes; it may come before they are all taken."""
        with RawClient(self.stack.url) as client:
            client.send_what_is_taken(sent)
            return client.reply(to=to)

    @contextmanager
    def asking(self, body: bytes = HELLO) -> Iterator[RawClient]:
        """A request that was sent, and its connection."""
        with RawClient(self.stack.url) as client:
            client.send(self.head(size=len(body)) + body)
            yield client


def staff(stack: Stack, subject: str = "alice") -> Plain:
    """Somebody whose requests are allowed."""
    return Plain(stack, stack.token(subject, "staff"))


def contractor(stack: Stack, subject: str) -> Plain:
    """Somebody whose requests are held."""
    return Plain(stack, stack.token(subject, "contractors"))


def on_record(stack: Stack, session: str, *, end: str = ENDED) -> dict[str, Any]:
    """The session as `authz session show` has it, once it has ended with an entry of kind `end`."""

    def look() -> dict[str, Any]:
        try:
            with connect(Target(None, None, None, stack.data, is_data_dir_named=True)) as client:
                found = session_with_bodies(*client.session(session))
        except Failure:  # the service is being started again
            return {}
        return found if end in kinds(found) else {}

    return until(look, f"the end of session {session} on record")


def kinds(session: dict[str, Any]) -> list[str]:
    """What happened in a session, in order, without our own reading of it."""
    return [event["kind"] for event in session["events"] if event["kind"] != "session.read"]


def data_of(session: dict[str, Any], kind: str) -> dict[str, Any]:
    """The data of the last entry of a kind."""
    found: dict[str, Any] = [e["data"] for e in session["events"] if e["kind"] == kind][-1]
    return found


def live(stack: Stack) -> int:
    """How many exchanges the service has in hand."""
    page = stack.metrics().splitlines()
    (value,) = [line.split()[1] for line in page if line.startswith("authz_exchanges_live ")]
    return int(float(value))


def sessions_of(stack: Stack, subject: str) -> list[dict[str, Any]]:
    """All sessions of a caller, newest first."""
    found: list[dict[str, Any]] = stack.cli_json("session", "list", "--caller", subject)
    return found
