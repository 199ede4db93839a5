"""A person's groups by Microsoft Graph, for tokens of Entra that have no room for them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import httpx

from authz_service.config.identity_values import EntraDirectory
from authz_service.identity.directory import MOST_PAGES, GroupList, Session, read_secret, too_many
from authz_service.identity.download import Document, fetch_document

PAGE = 999  # the most that Graph gives at a time
_GROUP = "#microsoft.graph.group"


class EntraLogin:
    """Client credentials at the tenant's token endpoint (RFC 6749 4.4). The secret is read each time."""

    def __init__(self, client: httpx.AsyncClient, settings: EntraDirectory) -> None:
        self._client = client
        self._url = f"{settings.login}/{settings.tenant}/oauth2/v2.0/token"
        self._id = settings.client
        self._secret: Path = settings.secret
        self._scope = f"{settings.api}/.default"

    async def get(self) -> Document:
        """A token for Graph."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._id,
            "client_secret": read_secret(self._secret).strip().decode(),
            "scope": self._scope,
        }
        return await fetch_document(self._client, self._url, form=form)


class EntraGroups:
    """A `Directory`: the ids of all groups that a user (by object id) is in, directly or by other groups."""

    def __init__(self, client: httpx.AsyncClient, settings: EntraDirectory) -> None:
        self._session = Session(client, settings.api, EntraLogin(client, settings))
        self._api = settings.api

    async def groups_of(self, member: str) -> tuple[str, ...]:
        """See `Directory.groups_of`. Roles and administrative units, which come along, are no groups."""
        # Without a cast to groups: that would be answered from an index which lags behind.
        url = f"{self._api}/v1.0/users/{quote(member, safe='')}/transitiveMemberOf?$select=id&$top={PAGE}"
        groups = GroupList()
        for _ in range(MOST_PAGES):
            page = await self._session.get(url)
            entries = page.get("value")
            if isinstance(entries, list):
                entries = [e for e in entries if not isinstance(e, dict) or e.get("@odata.type") == _GROUP]
            groups.add(entries, "id")
            following = page.get("@odata.nextLink")
            if following is None:
                return groups.names()
            if not isinstance(following, str):
                break
            url = following
        raise too_many()
