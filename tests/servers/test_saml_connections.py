"""Connections of the listener for logins are bounded in number and in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest
from tests.e2e.stack import free_port
from tests.identity.saml_idp import signer
from tests.servers.shown_certificates import shown, write

from authz_service.config.gateway_values import Tls
from authz_service.config.identity_values import LoginListener
from authz_service.servers.saml_http import SamlListener

ASK = b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n"
LONGEST = 60.0  # seconds until a test gives up

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Clients:
    """Connections to one port, all closed at the end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def open(self, sent: bytes = b"") -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers.append(writer)
        writer.write(sent)
        return reader, writer

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def served(tls: Tls | None = None, **limits: Any) -> AsyncIterator[Clients]:
    """A listener that knows no provider."""
    port = free_port()
    nothing = cast("Any", None)
    listener = LoginListener("http://127.0.0.1", "127.0.0.1", port, tls)
    clients = Clients(port)
    try:
        async with asyncio.timeout(LONGEST), SamlListener(listener, nothing, **limits).serve():
            yield clients
    finally:
        await clients.close()


async def is_ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends it, without a word."""
    try:
        async with asyncio.timeout(LONGEST):
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def is_answered(reader: asyncio.StreamReader) -> bool:
    """Whether a whole answer comes."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return False
    return b" 404 " in head


def test_who_says_nothing_or_half_a_head_is_ended() -> None:
    async def scenario() -> None:
        async with served(patience=0.3) as clients:
            silent, _ = await clients.open()
            halting, _ = await clients.open(ASK[:-2])
            assert await is_ended(silent)
            assert await is_ended(halting)

    asyncio.run(scenario())


def test_a_connection_has_one_request() -> None:
    async def scenario() -> None:
        async with served(patience=LONGEST * 2) as clients:
            reader, _ = await clients.open(ASK)
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"connection: close\r\n" in head.lower()
            assert await reader.read()
            assert reader.at_eof()

    asyncio.run(scenario())


def test_beyond_so_many_connections_one_is_closed_until_another_ends() -> None:
    async def scenario() -> None:
        async with served(most=3, patience=LONGEST * 2) as clients:
            kept = [await clients.open() for _ in range(3)]
            over, _ = await clients.open(ASK)
            assert await is_ended(over)
            kept[0][1].close()
            while not await is_answered((await clients.open(ASK))[0]):
                await asyncio.sleep(0.01)

    asyncio.run(scenario())


def test_connections_without_a_handshake_count_among_the_most(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(write(tmp_path, signer(), signer()), most=3, patience=LONGEST * 2) as clients:
            opened = [await clients.open() for _ in range(12)]
            assert [await is_ended(reader) for reader, _ in opened[3:]] == [True] * 9
            assert not any(reader.at_eof() for reader, _ in opened[:3])
            opened[0][1].close()
            found = None
            while found is None:
                with suppress(OSError):
                    found = await shown(clients.address)
            assert found == signer().certificate

    asyncio.run(scenario())


def test_who_begins_no_handshake_or_none_that_is_one_is_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(write(tmp_path, signer(), signer()), patience=0.3) as clients:
            for sent in (b"", b"\x16\x03\x01", ASK):
                reader, _ = await clients.open(sent)
                with suppress(ConnectionResetError):
                    await asyncio.wait_for(reader.read(), LONGEST)
                assert reader.at_eof() or reader.exception() is not None

    asyncio.run(scenario())


@pytest.mark.parametrize("sent", [b"", ASK])
def test_a_stop_waits_for_no_handshake(sent: bytes, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(write(tmp_path, signer(), signer()), patience=LONGEST * 2) as clients:
            await clients.open(sent)
            assert await shown(clients.address) == signer().certificate

    asyncio.run(scenario())


def test_a_stop_waits_for_nobody_who_keeps_a_connection_open() -> None:
    async def scenario() -> None:
        async with served() as clients:
            await clients.open()
            reader, _ = await clients.open(ASK)
            assert await is_answered(reader)

    asyncio.run(scenario())
