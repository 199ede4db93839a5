"""Keys from an issuer's server: at a URL that is configured, or at the one its own metadata names."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from authz_service.identity.download import NotServed, fetch_document, is_safe
from authz_service.identity.key_cache import Fetched
from authz_service.identity.keys import keys_in

OPENID = "/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server"
_JWK_SET = "application/jwk-set+json, "


class JwksUrl:
    """The keys behind one URL. Its methods raise `ValueError` and what httpx raises."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self.url = url
        self._client = client

    async def fetch(self) -> Fetched:
        """The keys that the document at the URL holds now."""
        return await _fetch_keys(self._client, self.url)


class Discovery:
    """The keys that an issuer's metadata leads to; both are fetched anew each time.

    OpenID Connect Discovery 1.0, and RFC 8414 for an issuer that has only that.
    """

    def __init__(self, issuer: str, client: httpx.AsyncClient) -> None:
        self.url = issuer
        self._client = client

    async def fetch(self) -> Fetched:
        """The keys that the issuer publishes now."""
        return await _fetch_keys(self._client, await self.jwks_uri())

    async def jwks_uri(self) -> str:
        """Where the issuer says that its keys are; its metadata must be its own."""
        metadata = await self._metadata()
        # Whoever may put a document there is not yet the issuer (OpenID Connect Discovery 4.3, RFC 8414 3.3).
        if not isinstance(metadata, dict) or metadata.get("issuer") != self.url:
            raise ValueError("the metadata is of another issuer")
        uri = metadata.get("jwks_uri")
        if not isinstance(uri, str) or not is_safe(uri):
            raise ValueError("the metadata names no https jwks_uri")
        if uri.startswith("http:") and not self.url.startswith("http:"):
            # Of this machine a server elsewhere knows nothing: it would have us ask our own services.
            raise ValueError("the metadata names a jwks_uri on this machine")
        return uri

    async def _metadata(self) -> object:
        openid, oauth = metadata_urls(self.url)
        try:
            return (await fetch_document(self._client, openid)).content
        except NotServed as error:
            if not 400 <= error.status < 500:
                raise
        return (await fetch_document(self._client, oauth)).content


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where an issuer's metadata is: by OpenID Connect Discovery 4.1, and by RFC 8414 3.1."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    return (
        parts._replace(path=path + OPENID).geturl(),
        parts._replace(path=OAUTH + path).geturl(),
    )


async def _fetch_keys(client: httpx.AsyncClient, url: str) -> Fetched:
    document = await fetch_document(client, url, accept=_JWK_SET)
    return Fetched(keys_in(document.content), document.max_age, document.date)
