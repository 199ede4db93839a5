"""The seam to a directory that knows a person's groups, and the token that it wants of us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import httpx

from authz_service.errors import Misconfigured
from authz_service.identity.download import Document, NotServed, fetch_document
from authz_service.identity.token import LONGEST_NAME

LARGEST_LIST = 64 * 1024
"""Bytes of names: what is known of a caller has to find room in the seal, too."""
MOST_PAGES = 100
EARLY: Final = 60.0
"""How long before its end a token of ours is replaced, in seconds."""
_OF_ALL: Final = (401, 408, 429)
"""Refusals that have nothing to do with the person in question."""
_LARGEST_SECRET: Final = 64 * 1024


class Directory(Protocol):
    """Knows who is in which groups."""

    async def groups_of(self, member: str) -> tuple[str, ...]:
        """All groups of a person; raises `Unusable` for one person, or anything when none can be had."""
        ...


class Unusable(ValueError):
    """What the directory says of this person is no answer; of others it may say more."""


class UnknownMember(Unusable):
    """The directory has nobody of this name."""

    def __init__(self) -> None:
        super().__init__("nobody of this name")


class GroupList:
    """The names of a person's groups, page by page."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._size = 0

    def add(self, entries: object, key: str) -> None:
        """The names under `key` in a page of groups; raises `Unusable` for what is no page, or too much."""
        if not isinstance(entries, list):
            raise Unusable("the directory's answer has no list of groups")
        for entry in entries:
            name = entry.get(key) if isinstance(entry, dict) else None
            if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
                raise Unusable("the directory's answer has a group without a name")
            self._names[name] = None
            self._size += len(name.encode()) + 3
        if self._size > LARGEST_LIST:
            raise too_many()

    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(self._names)


def too_many() -> Unusable:
    """The refusal of a list that has no end, or is too long to carry."""
    return Unusable("more groups than can be read")


class AppToken(Protocol):
    """Gets a token for our application from its directory's login server."""

    async def get(self) -> Document: ...


class Session:
    """Calls a directory with our application's token, which is got when it is needed.

    `origin` is the server that may be shown the token: no answer leads elsewhere with it.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        origin: str,
        login: AppToken,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._origin = origin
        self._login = login
        self._clock = clock
        self._token = ""
        self._good_until = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, url: str) -> dict[str, Any]:
        """The JSON object at a URL of the directory's; a token that it no longer takes is replaced once.

        Raises `Unusable` for what concerns this question only, `UnknownMember` for 404.
        """
        if urlsplit(url)[:2] != urlsplit(self._origin)[:2]:
            raise Unusable("the directory's answer leads to another server")
        token = await self._current()
        try:
            document = await self._ask(url, token)
        except NotServed as error:
            if error.status != 401:
                raise
            document = await self._ask(url, await self._current(instead_of=token))
        if not isinstance(document.content, dict):
            raise Unusable("the directory's answer is no JSON object")
        return document.content

    async def _ask(self, url: str, token: str) -> Document:
        try:
            return await fetch_document(self._client, url, bearer=token)
        except NotServed as error:
            if error.status == 404:
                raise UnknownMember from error
            if 400 <= error.status < 500 and error.status not in _OF_ALL:
                # One whom it may not tell us about must not keep it from being asked about others.
                raise Unusable(f"status {error.status}") from error
            raise

    async def _current(self, *, instead_of: str = "") -> str:
        async with self._lock:
            if self._clock() >= self._good_until or self._token == instead_of:
                content = (await self._login.get()).content
                token = content.get("access_token") if isinstance(content, dict) else None
                seconds = content.get("expires_in", 0) if isinstance(content, dict) else 0
                if not isinstance(token, str) or not token.isascii() or not isinstance(seconds, int | float):
                    raise ValueError("the login server gave no token")
                self._token, self._good_until = token, self._clock() + max(0.0, seconds - EARLY)
            return self._token


def read_secret(path: Path) -> bytes:
    """A file that only this user may read; raises `Misconfigured`. What it holds is in no message."""
    try:
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path} is readable by other users; run: chmod 600 {path}")
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error
    if not content.strip() or len(content) > _LARGEST_SECRET:
        raise Misconfigured(f"{path} is empty or too large to be a secret")
    return content
