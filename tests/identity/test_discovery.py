"""An issuer's metadata leads to its keys, if it is the issuer's own and nobody can have changed it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.identity.key_server import KeyServer, serving

from authz_service.identity.download import LARGEST_DOCUMENT, is_safe
from authz_service.identity.jwks_url import Discovery, metadata_urls
from authz_service.identity.key_cache import KeyCache

if TYPE_CHECKING:
    from tests.identity.provider import Provider

OPENID = "/realms/main/.well-known/openid-configuration"
OAUTH = "/.well-known/oauth-authorization-server/realms/main"


def metadata(issuer: str, /, **changes: Any) -> bytes:
    content = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"} | changes
    return json.dumps({name: value for name, value in content.items() if value is not None}).encode()


def play(provider: Provider, scene: Callable[[KeyServer, str], Awaitable[None]]) -> None:
    """Run `scene` with a server that has the keys of the issuer, whose metadata it is to publish."""

    async def run() -> None:
        async with serving() as (server, url):
            server.publish(b"", status="404 Not Found")
            server.publish(provider.jwks("rsa"), path="/realms/main/keys")
            await scene(server, f"{url}/realms/main")

    asyncio.run(run())


async def keys_of(issuer: str) -> set[str | None]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return {key.kid for key in (await Discovery(issuer, client).fetch()).keys}


async def refused(issuer: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        await keys_of(issuer)


@pytest.mark.parametrize("path", [OPENID, OAUTH])
def test_keys_are_found_by_the_metadata_of_either_standard(provider: Provider, path: str) -> None:
    async def scene(server: KeyServer, issuer: str) -> None:
        server.publish(metadata(issuer), path=path)
        assert await keys_of(issuer) == {"rsa"}

    play(provider, scene)


@pytest.mark.parametrize("other", ["{0}/", "{0}x", "https://evil.example", ["{0}"], None, ""])
def test_metadata_of_another_issuer_is_not_followed(provider: Provider, other: object) -> None:
    async def scene(server: KeyServer, issuer: str) -> None:
        named = other.format(issuer) if isinstance(other, str) else other
        server.publish(metadata(issuer, issuer=named), path=OPENID)
        server.publish(metadata(issuer), path=OAUTH)
        await refused(issuer, "another issuer")
        assert server.paths == [OPENID]

    play(provider, scene)


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        7,
        "http://login.example.com/keys",
        "ftp://127.0.0.1/keys",
        "/keys",
        "https://u:p@h/keys",
        "https://",
    ],
)
def test_metadata_without_a_safe_place_for_keys_is_not_followed(provider: Provider, uri: object) -> None:
    async def scene(server: KeyServer, issuer: str) -> None:
        server.publish(metadata(issuer, jwks_uri=uri), path=OPENID)
        await refused(issuer, "no https jwks_uri")

    play(provider, scene)


def test_an_issuer_elsewhere_does_not_have_us_ask_services_of_this_machine() -> None:
    async def scene() -> None:
        def answer(_request: httpx.Request) -> httpx.Response:
            content = metadata("https://login.example.com", jwks_uri="http://127.0.0.1:1/")
            return httpx.Response(200, stream=httpx.ByteStream(content))

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            with pytest.raises(ValueError, match="on this machine"):
                await Discovery("https://login.example.com", client).jwks_uri()

    asyncio.run(scene())


BAD: dict[str, tuple[bytes, str, str, str]] = {
    "a page": (b"<html>Log in</html>", "200 OK", "", "not JSON"),
    "a redirect": (b"", "302 Found", "location: /realms/other\r\n", "status 302"),
    "an error": (b"{}", "500 Internal Server Error", "", "status 500"),
    "a list": (b"[]", "200 OK", "", "another issuer"),
    "ten megabytes": (b" " * 10_000_000, "200 OK", "", "larger than"),
    "a little too much": (b"{}".ljust(LARGEST_DOCUMENT + 1), "200 OK", "", "larger than"),
    "compressed": (b"{}", "200 OK", "content-encoding: gzip\r\n", "compressed"),
}


@pytest.mark.parametrize(("document", "status", "headers", "why"), BAD.values(), ids=BAD)
def test_metadata_that_cannot_be_read_leads_nowhere(
    provider: Provider, document: bytes, status: str, headers: str, why: str
) -> None:
    async def scene(server: KeyServer, issuer: str) -> None:
        server.publish(document, status=status, headers=headers, path=OPENID)
        await refused(issuer, why)
        assert set(server.paths) <= {OPENID, OAUTH}

    play(provider, scene)


def test_a_server_that_fails_is_not_taken_for_one_without_the_document(provider: Provider) -> None:
    async def scene(server: KeyServer, issuer: str) -> None:
        server.publish(b"", status="503 Service Unavailable", path=OPENID)
        server.publish(metadata(issuer), path=OAUTH)
        await refused(issuer, "status 503")
        assert server.paths == [OPENID]

    play(provider, scene)


def test_an_issuer_may_move_its_keys(provider: Provider) -> None:
    async def scene(server: KeyServer, issuer: str) -> None:
        server.publish(metadata(issuer), path=OPENID)
        async with httpx.AsyncClient(trust_env=False) as client:
            cache = KeyCache(Discovery(issuer, client))
            await cache.warm()
            server.publish(provider.jwks("other"), path="/realms/main/new-keys")
            server.publish(metadata(issuer, jwks_uri=f"{issuer}/new-keys"), path=OPENID)
            assert (await cache.find("other", "RS256")).kid == "other"
            await cache.close()

    play(provider, scene)


@pytest.mark.parametrize(
    ("issuer", "openid", "oauth"),
    [
        (
            "https://h",
            "https://h/.well-known/openid-configuration",
            "https://h/.well-known/oauth-authorization-server",
        ),
        (
            "https://sts.example/tenant/",
            "https://sts.example/tenant/.well-known/openid-configuration",
            "https://sts.example/.well-known/oauth-authorization-server/tenant",
        ),
    ],
)
def test_the_metadata_is_where_its_standard_puts_it(issuer: str, openid: str, oauth: str) -> None:
    assert metadata_urls(issuer) == (openid, oauth)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://login.example.com/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
        ("http://login.example.com/keys", False),
        ("http://127.0.0.1.example.com/keys", False),
        ("http://127.0.0.1@example.com/keys", False),
        ("HTTP://example.com", False),
        ("https://user@example.com", False),
        ("https://example.com/#x", False),
        ("https://exa mple.com", False),
        ("https://example.com\n", False),
        ("https://[::1", False),
        ("https://h:99999", False),
        ("file:///keys", False),
        ("", False),
    ],
)
def test_only_https_and_this_machine_are_safe(url: str, safe: bool) -> None:
    assert is_safe(url) is safe
