"""Keys from a real server on loopback that is slow, away, wrong, hostile, or has new keys."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.identity.key_server import KeyServer, serving

from authz_service.errors import Unauthenticated, Unavailable
from authz_service.identity import key_cache
from authz_service.identity.download import LARGEST_DOCUMENT
from authz_service.identity.jwks_url import JwksUrl
from authz_service.identity.key_cache import (
    FIRST_RETRY_AFTER,
    LONGEST_REFRESH,
    MOST_UNKNOWN,
    REFRESH_AFTER,
    RETRY_AFTER,
    SHORTEST_REFRESH,
    UNKNOWN_FOR,
    KeyCache,
)
from authz_service.identity.key_sources import LONGEST_OUTAGE
from authz_service.identity.keys import VerifyingKey

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider


Scene = Callable[[KeyServer, KeyCache], Awaitable[None]]


@pytest.fixture
def play(provider: Provider, clock: Clock) -> Callable[[Scene], None]:
    """Runs a scene with a server that publishes the key `rsa`, and a source that asks it."""

    @asynccontextmanager
    async def stage() -> AsyncIterator[tuple[KeyServer, KeyCache]]:
        async with serving() as (server, url), httpx.AsyncClient(trust_env=False) as client:
            server.publish(provider.jwks("rsa"))
            source = KeyCache(JwksUrl(f"{url}/keys", client), clock=clock)
            try:
                yield server, source
            finally:
                server.gate.set()
                await source.close()

    async def run(scene: Scene) -> None:
        async with stage() as (server, source):
            await scene(server, source)

    return lambda scene: asyncio.run(run(scene))


async def refused(source: KeyCache, kid: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await source.find(kid, "RS256")
    assert caught.value.code == "unknown_key"


async def settled(source: KeyCache) -> None:
    """Wait for a fetch that runs in the background."""
    if source._fetch is not None:
        await source._fetch


def test_keys_are_fetched_once_for_all_that_ask_at_once(play: Callable[[Scene], None]) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.gate.clear()
        callers = [asyncio.create_task(source.find("rsa", "RS256")) for _ in range(20)]
        await server.arrived.wait()
        server.gate.set()
        keys = await asyncio.gather(*callers)
        assert {key.kid for key in keys} == {"rsa"}
        assert source.has(keys[0])
        assert server.served == 1

    play(scene)


def test_a_caller_that_gives_up_does_not_end_the_fetch_of_the_others(play: Callable[[Scene], None]) -> None:
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

    play(scene)


def test_a_known_key_never_waits_for_a_refresh(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
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

    play(scene)


def test_remembered_tokens_keep_the_refresh_going(play: Callable[[Scene], None], clock: Clock) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        server.publish(b'{"keys": []}')
        clock.now += REFRESH_AFTER
        source.has(key)
        await settled(source)
        assert not source.has(key)

    play(scene)


def test_a_new_key_is_found_by_its_first_token(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.publish(provider.jwks("rsa", "other"))
        clock.now += RETRY_AFTER
        assert (await source.find("other", "RS256")).kid == "other"

    play(scene)


def test_unknown_keys_cause_one_fetch_in_thirty_seconds(play: Callable[[Scene], None], clock: Clock) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        for number in range(1000):
            await refused(source, f"random-{number}")
        assert server.served == 2
        clock.now += RETRY_AFTER
        await asyncio.gather(*(refused(source, f"another-{number}") for number in range(1000)))
        assert server.served == 3

    play(scene)


def test_a_key_id_that_was_asked_for_in_vain_causes_no_fetch_for_a_while(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
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

    play(scene)


def test_a_fetch_that_failed_says_nothing_about_a_key_id(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.publish(b"", status="503 Service Unavailable")
        clock.now += RETRY_AFTER
        await refused(source, "other")
        server.publish(provider.jwks("rsa", "other"))
        clock.now += RETRY_AFTER
        assert (await source.find("other", "RS256")).kid == "other"

    play(scene)


def test_a_token_without_key_id_causes_no_fetch(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.publish(provider.jwks("rsa", "other"))
        await source.warm()
        clock.now += RETRY_AFTER
        await refused(source, None)
        assert server.served == 1

    play(scene)


def test_the_list_of_unknown_key_ids_is_bounded(
    play: Callable[[Scene], None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_UNKNOWN <= 1_000
    monkeypatch.setattr(key_cache, "MOST_UNKNOWN", 2)

    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.warm()
        for number in range(5):
            clock.now += RETRY_AFTER
            await refused(source, f"random-{number}")
        assert len(source._unknown) == 2

    play(scene)


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
    play: Callable[[Scene], None], clock: Clock, break_server: Callable[[KeyServer], None]
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

    play(scene)


@pytest.mark.parametrize("break_server", BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_without_any_good_answer_no_token_is_verified(
    play: Callable[[Scene], None], clock: Clock, provider: Provider, break_server: Callable[[KeyServer], None]
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

    play(scene)


def test_a_document_at_the_limit_is_read(play: Callable[[Scene], None], provider: Provider) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.publish(provider.jwks("rsa").ljust(LARGEST_DOCUMENT))
        assert (await source.find("rsa", "RS256")).kid == "rsa"

    play(scene)


def test_an_issuer_that_is_away_is_asked_again_each_half_minute(
    play: Callable[[Scene], None], clock: Clock
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

    play(scene)


def test_keys_of_an_issuer_that_was_away_for_a_day_are_relied_on_no_longer(
    play: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key: VerifyingKey = await source.find("rsa", "RS256")
        server.publish(b"", status="503 Service Unavailable")
        clock.now += LONGEST_OUTAGE + 1
        assert not source.has(key)
        with pytest.raises(Unavailable):
            await source.find("rsa", "RS256")

    play(scene)


def test_a_server_that_answers_drop_by_drop_is_given_up(
    play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "LONGEST_FETCH", 0.05)

    async def scene(server: KeyServer, source: KeyCache) -> None:
        server.gate.clear()
        with pytest.raises(Unavailable):
            await source.find("rsa", "RS256")

    play(scene)


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
    play: Callable[[Scene], None], clock: Clock, provider: Provider, headers: str, seconds: float
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

    play(scene)


def test_a_key_that_appears_right_after_a_refresh_is_found_at_once(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.publish(provider.jwks("other"))
        assert (await source.find("other", "RS256")).kid == "other"

    play(scene)


def test_a_key_that_was_withdrawn_while_nobody_asked_is_not_good_once_more(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        server.publish(provider.jwks("other"))
        clock.now += 2 * REFRESH_AFTER
        assert not source.has(key)
        await refused(source, "rsa")

    play(scene)


def test_who_has_a_known_key_does_not_wait_again_and_again_for_a_server_that_hangs(
    play: Callable[[Scene], None], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "LONGEST_FETCH", 0.05)

    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        server.gate.clear()
        clock.now += 2 * REFRESH_AFTER
        assert await source.find("rsa", "RS256") == key  # the first after a long silence waits
        monkeypatch.setattr(key_cache, "LONGEST_FETCH", 60.0)
        for _ in range(10):
            clock.now += RETRY_AFTER
            assert source.has(key)
            assert await source.find("rsa", "RS256") == key

    play(scene)


def test_while_it_is_not_known_whether_the_issuer_has_a_key_the_caller_may_try_again(
    play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_cache, "LONGEST_WAIT", 0.05)

    async def scene(server: KeyServer, source: KeyCache) -> None:
        await source.find("rsa", "RS256")
        server.gate.clear()
        with pytest.raises(Unavailable):
            await source.find("other", "RS256")

    play(scene)


def test_what_was_being_fetched_already_says_nothing_about_a_newer_key(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
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

    play(scene)


def test_whether_a_key_is_still_there_is_asked_of_keys_that_are_not_old(
    play: Callable[[Scene], None], clock: Clock, provider: Provider
) -> None:
    async def scene(server: KeyServer, source: KeyCache) -> None:
        key = await source.find("rsa", "RS256")
        assert await source.stands_by(key.digest)
        assert not await source.stands_by("0" * 64)
        server.publish(provider.jwks("other", "ec"))
        clock.now += 2 * REFRESH_AFTER
        assert not await source.stands_by(key.digest)

    play(scene)
