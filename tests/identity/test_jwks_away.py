"""Key servers that are away, slow or wrong."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.identity.key_server import KeyServer

from authz_service.errors import Unavailable
from authz_service.identity import key_cache
from authz_service.identity.download import LARGEST_DOCUMENT
from authz_service.identity.jwks_url import JwksUrl
from authz_service.identity.key_cache import (
    FIRST_RETRY_AFTER,
    REFRESH_AFTER,
    RETRY_AFTER,
    KeyCache,
)
from authz_service.identity.key_sources import LONGEST_OUTAGE
from authz_service.identity.keys import VerifyingKey

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

from tests.identity.jwks_asking import Scene, settled

BAD_ANSWERS: dict[str, Callable[[KeyServer], None]] = {
    "a page": lambda server: server.publish(b"<html><body>Log in</body></html>"),
    "an error": lambda server: server.publish(b"{}", status="500 Internal Server Error"),
    "not found, with keys": lambda server: server.publish(b'{"keys": []}', status="404 Not Found"),
    "a redirect": lambda server: server.publish(b"", status="302 Found", headers="location: /elsewhere\r\n"),
    "nothing": lambda server: setattr(server, "answer", b""),
    "no HTTP": lambda server: setattr(server, "answer", b"SSH-2.0\r\n\r\n"),
    "a cut answer": lambda server: setattr(
        server, "answer", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"
    ),
    "ten megabytes": lambda server: server.publish(b'{"keys": [' + b" " * 10_000_000 + b"]}"),
    "a compressed bomb": lambda server: server.publish(
        gzip.compress(b" " * 10_000_000), headers="content-encoding: gzip\r\n"
    ),
    "deep JSON": lambda server: server.publish(b"[" * 100_000),
}


@pytest.mark.parametrize("break_server", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_bad_answer_leaves_the_last_keys_in_force(
    asking: Callable[[Scene], None], clock: Clock, break_server: Callable[[KeyServer], None]
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        break_server(server)
        clock.now += REFRESH_AFTER
        assert source.has(key)
        await settled(source)
        assert server.served == 2
        assert source.has(key)
        assert (await source.find("rsa", "RS256")) == key
        assert server.paths == ["/keys", "/keys"]

    asking(scene)


@pytest.mark.parametrize("break_server", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_without_any_good_answer_no_token_is_verified(
    asking: Callable[[Scene], None],
    clock: Clock,
    provider: Provider,
    break_server: Callable[[KeyServer], None],
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        break_server(server)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await source.find("rsa", "RS256")
        assert server.served == 1
        server.publish(provider.jwks("rsa"))
        clock.now += FIRST_RETRY_AFTER
        assert (await source.find("rsa", "RS256")).kid == "rsa"

    asking(scene)


def test_a_document_at_the_limit_is_read(asking: Callable[[Scene], None], provider: Provider) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.publish(provider.jwks("rsa").ljust(LARGEST_DOCUMENT))
        assert (await source.find("rsa", "RS256")).kid == "rsa"

    asking(scene)


def test_an_issuer_that_is_away_is_asked_again_each_half_minute(
    asking: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        server.publish(b"", status="503 Service Unavailable")
        clock.now += REFRESH_AFTER
        for _ in range(5):
            assert source.has(key)
            await settled(source)
        assert server.served == 2
        clock.now += RETRY_AFTER
        assert source.has(key)
        await settled(source)
        assert server.served == 3

    asking(scene)


def test_keys_of_an_issuer_that_was_away_for_a_day_are_relied_on_no_longer(
    asking: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key: VerifyingKey = await source.find("rsa", "RS256")
        server.publish(b"", status="503 Service Unavailable")
        clock.now += LONGEST_OUTAGE + 1
        assert not source.has(key)
        with pytest.raises(Unavailable):
            await source.find("rsa", "RS256")

    asking(scene)


def test_a_server_that_answers_drop_by_drop_is_given_up(
    asking: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "LONGEST_FETCH", 0.05)

    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.gate.clear()
        with pytest.raises(Unavailable):
            await source.find("rsa", "RS256")

    asking(scene)


def test_a_server_that_is_not_there_is_unavailable(clock: Clock) -> None:
    async def scene() -> None:
        listener = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        listener.close()
        await listener.wait_closed()
        async with httpx.AsyncClient(trust_env=False) as client:
            source = KeyCache(JwksUrl(f"http://127.0.0.1:{port}/keys", client), clock=clock)
            with pytest.raises(Unavailable):
                await source.find("rsa", "RS256")
            await source.close()

    asyncio.run(scene())


def test_who_has_a_known_key_does_not_wait_again_and_again_for_a_server_that_hangs(
    asking: Callable[[Scene], None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        monkeypatch.setattr(key_cache, "LONGEST_FETCH", 0.05)
        server.gate.clear()
        clock.now += 2 * REFRESH_AFTER
        assert await source.find("rsa", "RS256") == key  # the first after a long silence waits
        monkeypatch.setattr(key_cache, "LONGEST_FETCH", 60.0)
        for _ in range(10):
            clock.now += RETRY_AFTER
            assert source.has(key)
            assert await source.find("rsa", "RS256") == key

    asking(scene)
