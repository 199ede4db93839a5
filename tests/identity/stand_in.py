"""Directories on loopback that behave as the documentation of Microsoft Graph and Google's says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt


@dataclass
class Request:
    """What was asked: `query` and `form` with one value for each name."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]


@dataclass
class Reply:
    """What is answered, as JSON."""

    content: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class StandIn:
    """A directory with a login server. What is in `fail` is answered first, in place of groups."""

    url: str = ""
    members: dict[str, list[str]] = field(default_factory=dict)
    page_size: int = 999
    token: int = 0
    logins: list[Request] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)
    fail: list[Reply] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    expires_in: int = 3599

    @property
    def bearer(self) -> str:
        """The one token that is good now."""
        return f"token-{self.token}"

    async def answer(self, request: Request) -> Reply:
        """As the documentation says."""
        if request.method == "POST":
            self.logins.append(request)
            return self.log_in(request)
        self.asked.append(request)
        await self.gate.wait()
        if request.headers.get("authorization") != f"Bearer {self.bearer}":
            return Reply({"error": {"code": "InvalidAuthenticationToken"}}, 401)
        return self.fail.pop(0) if self.fail else self.page(request)

    def log_in(self, request: Request) -> Reply:
        raise NotImplementedError

    def page(self, request: Request) -> Reply:
        raise NotImplementedError

    def granted(self) -> Reply:
        """A new token; the one before is good no more."""
        self.token += 1
        return Reply({"access_token": self.bearer, "token_type": "Bearer", "expires_in": self.expires_in})


@dataclass
class Graph(StandIn):
    """Microsoft's: pages by `@odata.nextLink`, with directory roles among the groups."""

    secret: str = "s3cret"

    def log_in(self, request: Request) -> Reply:
        wanted = {
            "grant_type": "client_credentials",
            "client_id": "our-app",
            "client_secret": self.secret,
            "scope": f"{self.url}/.default",
        }
        is_good = request.path == "/our-tenant/oauth2/v2.0/token" and request.form == wanted
        return self.granted() if is_good else Reply({"error": "invalid_client"}, 401)

    def page(self, request: Request) -> Reply:
        start = int(request.query.get("$skiptoken", "0"))
        member = request.path.removeprefix("/v1.0/users/").removesuffix("/transitiveMemberOf")
        if member not in self.members:
            return Reply({"error": {"code": "Request_ResourceNotFound"}}, 404)
        size = min(self.page_size, int(request.query.get("$top", "100")))
        found = self.members[member]
        value = [
            {"@odata.type": "#microsoft.graph.group", "id": name} for name in found[start : start + size]
        ]
        value += [{"@odata.type": "#microsoft.graph.directoryRole", "id": "a-role"}]
        content: dict[str, Any] = {"@odata.context": f"{self.url}/v1.0/$metadata", "value": value}
        if start + size < len(found):
            content["@odata.nextLink"] = f"{self.url}{request.path}?$top={size}&$skiptoken={start + size}"
        return Reply(content)


@dataclass
class Google(StandIn):
    """Google's: pages by `nextPageToken`, no list at all where there are no groups.

    A group can be a member, too.
    """

    public_key: Any = None
    silent_about: set[str] = field(default_factory=set)
    page_size: int = 200

    def log_in(self, request: Request) -> Reply:
        url = f"{self.url}/token"
        claims = jwt.decode(request.form["assertion"], self.public_key, algorithms=["RS256"], audience=url)
        is_good = (claims["iss"], claims["sub"]) == ("us@project.example", "admin@example.com")
        is_good &= claims["scope"] == "https://www.googleapis.com/auth/admin.directory.group.readonly"
        is_good &= claims["exp"] - claims["iat"] <= 3600
        is_good &= request.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        return self.granted() if is_good else Reply({"error": "unauthorized_client"}, 401)

    def page(self, request: Request) -> Reply:
        member, start = request.query["userKey"], int(request.query.get("pageToken", "0"))
        if member in self.silent_about:
            return Reply({"error": {"code": 403, "message": "Not Authorized"}}, 403)
        is_group = member in {name.casefold() for groups in self.members.values() for name in groups}
        if request.path != "/admin/directory/v1/groups" or not (is_group or member in self.members):
            return Reply({"error": {"code": 404, "message": "Resource Not Found: userKey"}}, 404)
        size = min(self.page_size, int(request.query.get("maxResults", "200")))
        found = self.members.get(member, [])
        content: dict[str, Any] = {"kind": "admin#directory#groups"}
        if found:
            content["groups"] = [{"email": name, "name": "?"} for name in found[start : start + size]]
        if start + size < len(found):
            content["nextPageToken"] = str(start + size)
        return Reply(content)


@asynccontextmanager
async def standing_in(directory: StandIn) -> AsyncIterator[None]:
    """The directory answers within the context, at its `url`."""
    directory.gate.set()
    listener = await asyncio.start_server(_serving(directory), "127.0.0.1", 0)
    directory.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield
    finally:
        directory.gate.set()
        listener.close()
        await listener.wait_closed()


def _serving(directory: StandIn) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await directory.answer(await _read(reader))
            body = json.dumps(reply.content).encode()
            head = [f"HTTP/1.1 {reply.status} X", f"content-length: {len(body)}", "connection: close"]
            head += [f"{name}: {value}" for name, value in reply.headers.items()]
            writer.write("\r\n".join([*head, "", ""]).encode() + body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return serve


async def _read(reader: asyncio.StreamReader) -> Request:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
    parts = urlsplit(target)
    return Request(method, unquote(parts.path), _single(parts.query), headers, _single(body))


def _single(encoded: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(encoded).items()}
