"""A person's groups by Google's Admin SDK, since Google's tokens never have any."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlencode

import httpx
import jwt
import orjson

from authz_service.config.identity_values import GoogleDirectory
from authz_service.errors import Misconfigured
from authz_service.identity.directory import MOST_PAGES, GroupList, Session, read_secret, too_many
from authz_service.identity.download import Document, fetch_document, is_safe

PAGE: Final = 200  # the most that the Directory API gives at a time
MOST_GROUPS = 200
"""Of one person; each of them is a question."""
AT_ONCE = 4
KEPT = 300.0
MOST_KEPT = 10_000
SCOPE: Final = "https://www.googleapis.com/auth/admin.directory.group.readonly"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS: Final = 600


class GoogleLogin:
    """A service account's assertion for an administrator (RFC 7523). The key file is read each time."""

    def __init__(
        self, client: httpx.AsyncClient, settings: GoogleDirectory, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._key = settings.key
        self._admin = settings.admin
        self._clock = clock

    async def get(self) -> Document:
        """A token for the Directory API."""
        url, assertion = self._assertion()
        return await fetch_document(self._client, url, form={"grant_type": _GRANT, "assertion": assertion})

    def _assertion(self) -> tuple[str, str]:
        try:
            key = orjson.loads(read_secret(self._key))
            url, now = key["token_uri"], int(self._clock())
            claims = {"iss": key["client_email"], "sub": self._admin, "scope": SCOPE, "aud": url}
            claims |= {"iat": now, "exp": now + _ASSERTION_SECONDS}
            head = {"kid": key["private_key_id"]}
            assertion = jwt.encode(claims, key["private_key"], algorithm="RS256", headers=head)
        except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
            raise Misconfigured(f"{self._key} is no key file of a service account") from error
        if not is_safe(url):
            raise Misconfigured(f"{self._key}: token_uri must be https")
        return url, assertion


class GoogleGroups:
    """A `Directory`: the groups that a user (by id or address) is in, by their addresses in lower case.

    The API says who is a direct member, so it is asked for each group again, as for a member. What it
    says of a group is kept for `KEPT` seconds, since many are in the same ones. `clock` is monotonic.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        settings: GoogleDirectory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = Session(client, settings.api, GoogleLogin(client, settings))
        self._url = f"{settings.api}/admin/directory/v1/groups"
        self._clock = clock
        self._kept: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def groups_of(self, member: str) -> tuple[str, ...]:
        """See `Directory.groups_of`. Groups within groups are followed to their end."""
        found: dict[str, None] = {}
        new = dict.fromkeys(await self._direct(member))
        while new:
            found |= new
            if len(found) > MOST_GROUPS:
                raise too_many()
            above = await asyncio.gather(*(self._above(group) for group in new))
            new = {group: None for groups in above for group in groups if group not in found}
        return tuple(found)

    async def _above(self, group: str) -> tuple[str, ...]:
        """The groups that a group is a member of."""
        asked_at, groups = self._kept.get(group, (float("-inf"), ()))
        if self._clock() - asked_at < KEPT:
            return groups
        async with self._turns:
            groups = await self._direct(group)
        if len(self._kept) >= MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[group] = (self._clock(), groups)
        return groups

    async def _direct(self, member: str) -> tuple[str, ...]:
        groups = GroupList()
        query = {"userKey": member, "maxResults": str(PAGE)}
        for _ in range(MOST_PAGES):
            page = await self._session.get(f"{self._url}?{urlencode(query)}")
            groups.add(page.get("groups", []), "email")  # left out where there are none
            following = page.get("nextPageToken")
            if following is None:
                return tuple(name.casefold() for name in groups.names())
            if not isinstance(following, str):
                break
            query["pageToken"] = following
        raise too_many()
