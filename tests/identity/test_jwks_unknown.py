"""Key ids that nobody knows cause few fetches, and a new key is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from tests.identity.key_server import KeyServer

from authz_service.errors import Unavailable
from authz_service.identity import key_cache
from authz_service.identity.key_cache import (
    MOST_UNKNOWN,
    REFRESH_AFTER,
    RETRY_AFTER,
    UNKNOWN_FOR,
    KeyCache,
)

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

from tests.identity.jwks_asking import Scene, refused


def test_a_new_key_is_found_by_its_first_token(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.publish(provider.jwks("rsa", "other"))
        clock.now += RETRY_AFTER
        assert (await source.find("other", "RS256")).kid == "other"

    asking(scene)


def test_unknown_keys_cause_one_fetch_in_thirty_seconds(
    asking: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        for number in range(1000):
            await refused(source, f"random-{number}")
        assert server.served == 2
        clock.now += RETRY_AFTER
        await asyncio.gather(*(refused(source, f"another-{number}") for number in range(1000)))
        assert server.served == 3

    asking(scene)


def test_a_key_id_that_was_asked_for_in_vain_causes_no_fetch_for_a_while(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        clock.now += RETRY_AFTER
        await refused(source, "other")
        assert server.served == 2
        clock.now += RETRY_AFTER
        await refused(source, "other")
        assert server.served == 2
        server.publish(provider.jwks("other"))
        clock.now += UNKNOWN_FOR - RETRY_AFTER
        assert (await source.find("other", "RS256")).kid == "other"

    asking(scene)


def test_a_fetch_that_failed_says_nothing_about_a_key_id(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.publish(b"", status="503 Service Unavailable")
        clock.now += RETRY_AFTER
        await refused(source, "other")
        server.publish(provider.jwks("rsa", "other"))
        clock.now += RETRY_AFTER
        assert (await source.find("other", "RS256")).kid == "other"

    asking(scene)


def test_a_token_without_key_id_causes_no_fetch(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.publish(provider.jwks("rsa", "other"))
        await source.warm()
        clock.now += RETRY_AFTER
        await refused(source, None)
        assert server.served == 1

    asking(scene)


def test_the_list_of_unknown_key_ids_is_bounded(
    asking: Callable[[Scene], None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_UNKNOWN <= 1_000
    monkeypatch.setattr(key_cache, "MOST_UNKNOWN", 2)

    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.warm()
        for number in range(5):
            clock.now += RETRY_AFTER
            await refused(source, f"random-{number}")
        assert len(source._unknown) == 2

    asking(scene)


def test_a_key_that_appears_right_after_a_refresh_is_found_at_once(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.publish(provider.jwks("other"))
        assert (await source.find("other", "RS256")).kid == "other"

    asking(scene)


def test_while_it_is_not_known_whether_the_issuer_has_a_key_the_caller_may_try_again(
    asking: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        monkeypatch.setattr(key_cache, "LONGEST_WAIT", 0.05)
        server.gate.clear()
        with pytest.raises(Unavailable):
            await source.find("other", "RS256")

    asking(scene)


def test_what_was_being_fetched_already_says_nothing_about_a_newer_key(
    asking: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        clock.now += REFRESH_AFTER
        server.gate.clear()
        server.arrived.clear()
        source.has(key)
        await server.arrived.wait()
        asking = asyncio.create_task(refused(source, "other"))
        await asyncio.sleep(0)
        server.gate.set()
        await asking
        server.publish(provider.jwks("rsa", "other"))
        assert (await source.find("other", "RS256")).kid == "other"

    asking(scene)
