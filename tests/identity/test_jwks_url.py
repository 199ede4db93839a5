"""Keys from a real server on loopback that is slow, away, wrong, hostile, or has new keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.identity.key_server import KeyServer

from authz_service.identity.key_cache import (
    LONGEST_REFRESH,
    REFRESH_AFTER,
    SHORTEST_REFRESH,
    KeyCache,
)

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

from tests.identity.jwks_asking import Scene, refused, settled


def test_keys_are_fetched_once_for_all_that_ask_at_once(asking: Callable[[Scene], None]) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.gate.clear()
        callers = [asyncio.create_task(source.find("rsa", "RS256")) for _ in range(20)]
        await server.arrived.wait()
        server.gate.set()
        keys = await asyncio.gather(*callers)
        assert {key.kid for key in keys} == {"rsa"}
        assert source.has(keys[0])
        assert server.served == 1

    asking(scene)


def test_a_caller_that_gives_up_does_not_end_the_fetch_of_the_others(asking: Callable[[Scene], None]) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.gate.clear()
        first = asyncio.create_task(source.find("rsa", "RS256"))
        second = asyncio.create_task(source.find("rsa", "RS256"))
        await server.arrived.wait()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        server.gate.set()
        assert (await second).kid == "rsa"
        assert server.served == 1

    asking(scene)


def test_a_known_key_never_waits_for_a_refresh(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        clock.now += REFRESH_AFTER
        server.publish(provider.jwks("other"))
        server.gate.clear()
        server.arrived.clear()
        assert await source.find("rsa", "RS256") == key
        await server.arrived.wait()
        assert source.has(key)
        server.gate.set()
        await settled(source)
        assert not source.has(key)
        assert (await source.find("other", "RS256")).kid == "other"
        assert server.served == 2

    asking(scene)


def test_remembered_tokens_keep_the_refresh_going(asking: Callable[[Scene], None], clock: Clock) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        server.publish(b'{"keys": []}')
        clock.now += REFRESH_AFTER
        source.has(key)
        await settled(source)
        assert not source.has(key)

    asking(scene)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ("", REFRESH_AFTER),
        ("cache-control: public\r\n", REFRESH_AFTER),
        ("cache-control: public, max-age=120, must-revalidate\r\n", 120),
        ("cache-control: max-age=500\r\nage: 380\r\n", 120),
        ("cache-control: max-age=120\r\nage: soon\r\n", 120),
        ("cache-control: max-age=1\r\n", SHORTEST_REFRESH),
        ("cache-control: max-age=86400\r\n", LONGEST_REFRESH),
        ("cache-control: s-max-age=120\r\n", REFRESH_AFTER),
        ("cache-control: no-store\r\n", SHORTEST_REFRESH),
        ("cache-control: max-age=600, no-cache\r\n", SHORTEST_REFRESH),
    ],
)
def test_keys_are_fetched_again_as_the_server_says_within_bounds(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider, headers: str, seconds: float
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.publish(provider.jwks("rsa"), headers=headers)
        key = await source.find("rsa", "RS256")
        clock.now += seconds - 1
        assert source.has(key)
        await settled(source)
        assert server.served == 1
        clock.now += 1
        assert source.has(key)
        await settled(source)
        assert server.served == 2

    asking(scene)


def test_a_key_that_was_withdrawn_while_nobody_asked_is_not_good_once_more(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        server.publish(provider.jwks("other"))
        clock.now += 2 * REFRESH_AFTER
        assert not source.has(key)
        await refused(source, "rsa")

    asking(scene)


def test_whether_a_key_is_still_there_is_asked_of_keys_that_are_not_old(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        assert await source.stands_by(key.digest)
        assert not await source.stands_by("0" * 64)
        server.publish(provider.jwks("other", "ec"))
        clock.now += 2 * REFRESH_AFTER
        assert not await source.stands_by(key.digest)

    asking(scene)
