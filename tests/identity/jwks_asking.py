"""What tests of fetched keys share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.identity.key_server import KeyServer, serving

from authz_service.errors import Unauthenticated
from authz_service.identity.jwks_url import JwksUrl
from authz_service.identity.key_cache import (
    KeyCache,
)

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider


Scene = Callable[[KeyServer, KeyCache], Awaitable[None]]


@pytest.fixture
def asking(provider: Provider, clock: Clock) -> Callable[[Scene], None]:
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
