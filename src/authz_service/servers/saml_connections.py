"""Bounds the connections of the listener for logins: how many, and how long one may say nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

MOST: Final = 256
"""Connections at once. Beyond them one is closed at once: those of the gateway share our file descriptors."""
PATIENCE: Final = 10.0
"""Seconds for the handshake, and for the head of a connection's first request, where aiohttp has no limit."""


class Connections:
    """Makes aiohttp's connections, up to `most`; `asked` is told of each request."""

    def __init__(self, *, most: int = MOST, patience: float = PATIENCE) -> None:
        self._most, self._patience = most, patience
        self._silent: set[Any] = set()

    def accepted(self, server: web.Server) -> asyncio.Protocol:
        """The protocol of a connection to `server`."""
        if len(server.connections) >= self._most:
            return _Refusing()
        made = server()
        self._silent.add(made)
        asyncio.get_running_loop().call_later(self._patience, self._look, made)
        return made

    def asked(self, request: web.BaseRequest) -> None:
        """A whole head came: from here on aiohttp's own limits hold."""
        self._silent.discard(request.protocol)

    def _look(self, made: Any) -> None:
        if made in self._silent:
            self._silent.discard(made)
            if made.transport is not None:
                made.transport.abort()


class _Refusing(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say nothing: whoever is before us tries another replica."""
        transport.close()


@asynccontextmanager
async def listening(
    accepted: Callable[[], asyncio.Protocol], host: str, port: int, context: ssl.SSLContext | None
) -> AsyncIterator[str]:
    """Accept within the context; yields host and port, raises `OSError` for an address in use."""
    handshake = None if context is None else PATIENCE
    server = await asyncio.get_running_loop().create_server(
        accepted, host, port, ssl=context, ssl_handshake_timeout=handshake
    )
    try:
        bound_host, bound_port = server.sockets[0].getsockname()[:2]
        yield f"{bound_host}:{bound_port}"
    finally:
        server.close()
