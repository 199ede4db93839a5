"""Check on a Unix socket over an issuer of tests: what is asked of it, and what it answers."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from authz_service.identity.embedded import GATEWAY_AUDIENCE, EmbeddedIssuer
from authz_service.identity.trust import trusted_embedded
from authz_service.identity.verifier import Verifier
from authz_service.keys.seal import Sealer
from authz_service.servers.ext_authz import ExtAuthz, GatewayVerifier
from authz_service.servers.wire import ext_authz_pb2 as wire
from authz_service.servers.wire import methods
from authz_service.servers.wire.base_pb2 import HeaderMap, HeaderValue

NOW = 1_800_000_000.0
CHAT = "/v1/chat/completions"
SEALER = Sealer(bytes(range(32)))


class Counted:
    """Remembers what was refused."""

    def __init__(self) -> None:
        self.refusals: list[tuple[str, str]] = []

    def count(self, source: str, code: str) -> None:
        self.refusals.append((source, code))


@dataclass
class Gate:
    """A running Check, and what it refused."""

    check: Callable[[wire.CheckRequest], Awaitable[wire.CheckResponse]]
    refusals: list[tuple[str, str]] = field(default_factory=list)


Scene = Callable[[Gate], Awaitable[None]]
Play = Callable[..., None]


@pytest.fixture
def issuer(tmp_path: Path) -> EmbeddedIssuer:
    return EmbeddedIssuer.load(tmp_path / "issuer.pem")


@pytest.fixture
def token(issuer: EmbeddedIssuer) -> Callable[..., str]:
    def make(
        subject: str = "alice", ttl: float = 3600, audience: str = GATEWAY_AUDIENCE, now: float = NOW
    ) -> str:
        return issuer.sign(subject, ("staff",), audience=audience, ttl=ttl, now=now)

    return make


@pytest.fixture
def play(issuer: EmbeddedIssuer, tmp_path: Path) -> Play:
    servers = itertools.count()

    @asynccontextmanager
    async def serve(verifier: GatewayVerifier, more: dict[str, Any]) -> AsyncIterator[Gate]:
        counted = Counted()
        server = grpc.aio.server()
        service = ExtAuthz(verifier=verifier, sealer=SEALER, refusals=counted, clock=lambda: NOW, **more)
        server.add_generic_rpc_handlers((service.handler(),))
        # One of its own for each: a client may still have the connection to the server before.
        address = f"unix:{tmp_path / f's{next(servers)}.sock'}"
        server.add_insecure_port(address)
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                call: Any = channel.unary_unary(
                    methods.CHECK,
                    request_serializer=wire.CheckRequest.SerializeToString,
                    response_deserializer=wire.CheckResponse.FromString,
                )
                yield Gate(call, counted.refusals)
        finally:
            await server.stop(None)

    async def run(scene: Scene, verifier: GatewayVerifier, more: dict[str, Any]) -> None:
        async with serve(verifier, more) as gate:
            await scene(gate)

    real = Verifier([trusted_embedded(issuer)], review_audience="authz-review", clock=lambda: NOW)
    return lambda scene, verifier=real, **more: asyncio.run(run(scene, verifier, more))


def request(
    *headers: tuple[str, str | bytes], method: str = "POST", path: str = CHAT, source: str = "192.0.2.7"
) -> wire.CheckRequest:
    raw = [HeaderValue(key=k, raw_value=v.encode() if isinstance(v, str) else v) for k, v in headers]
    http = wire.AttributeContext.HttpRequest(
        method=method, path=path, host="gateway.example", header_map=HeaderMap(headers=raw)
    )
    context = wire.AttributeContext(request=wire.AttributeContext.Request(http=http))
    context.source.address.socket_address.address = source
    context.source.address.socket_address.port_value = 50_000
    return wire.CheckRequest(attributes=context)


def denial(response: wire.CheckResponse) -> tuple[int, str, dict[str, str]]:
    """Status, code and headers of a denial, which is one in every respect."""
    assert response.status.code != 0
    assert response.WhichOneof("http_response") == "denied_response"
    assert not response.dynamic_metadata.fields
    denied = response.denied_response
    error = json.loads(denied.body)["error"]
    assert error["message"]
    headers = {option.header.key: option.header.value for option in denied.headers}
    assert headers["content-type"] == "application/json"
    return denied.status.code, error["code"], headers
