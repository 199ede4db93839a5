"""Bounds the connections of the listener for logins: how many, and how long one may say nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Final

import structlog
from aiohttp import web

MOST: Final = 256
"""Connections at once. Beyond them one is closed at once: those of the gateway share our file descriptors."""
PATIENCE: Final = 10.0
"""Seconds for the handshake, and for the head of a connection's first request, where aiohttp has no limit."""
PAUSE: Final = 1.0
"""Seconds until the next attempt after the system had no connection to give, as without file descriptors."""

log = structlog.get_logger(__name__)


class Connections:
    """Accepts aiohttp's connections, up to `most`; `asked` is told of each request.

    asyncio's own server is told of a connection only after its TLS handshake, and would have any number
    before it.
    """

    def __init__(self, *, most: int = MOST, patience: float = PATIENCE) -> None:
        self._most, self._patience = most, patience
        self._silent: set[Any] = set()
        self._opening: dict[asyncio.Task[None], web.RequestHandler] = {}

    @asynccontextmanager
    async def listening(
        self, server: web.Server, host: str, port: int, context: ssl.SSLContext | None
    ) -> AsyncIterator[str]:
        """Accept within the context; yields host and port, raises `OSError` for an address in use."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        with ExitStack() as stack:
            sockets = [
                stack.enter_context(socket.create_server(address[:2], family=family))
                for family, _, _, _, address in dict.fromkeys(found)
            ]
            accepting = [asyncio.create_task(self._accept(each, server, context)) for each in sockets]
            try:
                bound_host, bound_port = sockets[0].getsockname()[:2]
                yield f"{bound_host}:{bound_port}"
            finally:
                await _ended(accepting)
                await _ended(list(self._opening))

    def asked(self, request: web.BaseRequest) -> None:
        """A whole head came: from here on aiohttp's own limits hold."""
        self._silent.discard(request.protocol)

    async def _accept(self, listening: socket.socket, server: web.Server, context: Any) -> None:
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        while True:
            try:
                accepted, _ = await loop.sock_accept(listening)
            except ConnectionError:
                continue  # whoever it was has gone
            except OSError as error:
                log.warning("saml.accept_failed", errno=error.errno)
                await asyncio.sleep(PAUSE)
                continue
            # One that has just done its handshake is among both.
            if len({*server.connections, *self._opening.values()}) >= self._most:
                accepted.close()  # without a word: whoever is before us tries another replica
                continue
            made = server()
            self._silent.add(made)
            loop.call_later(self._patience, self._look, made)
            opening = asyncio.create_task(self._open(accepted, made, context))
            self._opening[opening] = made
            opening.add_done_callback(self._opening.pop)

    async def _open(self, accepted: socket.socket, made: asyncio.Protocol, context: Any) -> None:
        """Until its handshake is done or given up: from then on aiohttp knows of it, or nobody."""
        handshake = None if context is None else self._patience
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: made, accepted, ssl=context, ssl_handshake_timeout=handshake
            )
        except OSError:  # ssl.SSLError is one, and so is a timeout
            log.debug("saml.no_handshake")

    def _look(self, made: Any) -> None:
        if made in self._silent:
            self._silent.discard(made)
            if made.transport is not None:
                made.transport.abort()


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
