"""The listener that Envoy calls: ext_authz, ext_proc and gRPC health, on a Unix socket or with mutual TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from authz_service.config.gateway_values import Link
from authz_service.errors import Misconfigured
from authz_service.servers.tls import PemFiles, server_credentials
from authz_service.servers.wire.methods import CHECK, PROCESS

OPTIONS: Sequence[tuple[str, int]] = (
    # Envoy pings an idle connection while requests are held; a default server answers
    # "too many pings" and ends every hold on it.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    # A burst of thousands of requests is queued, not dropped.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.so_reuseport", 0),
)
STOP_SECONDS = 0.5
"""What calls get to end that came in the very last moment."""


@asynccontextmanager
async def serve_gateway(
    socket: Path,
    handlers: Sequence[grpc.GenericRpcHandler[Any, Any]],
    *,
    drain: Callable[[], Awaitable[None]],
    leave: Callable[[], float] = lambda: 0.0,
    link: Link | None = None,
) -> AsyncIterator[None]:
    """Serve `handlers` on `socket` within the context, with the health that Envoy asks for.

    With a `link` they are served there instead, to whoever shows a certificate of its authority.

    At the end, where others answer meanwhile, health says for as many seconds as `leave` does that this
    process does not, while it still does: what Envoy sent here after that could not all be sent again. With
    0 health stays: Envoy would refuse those that wait at once, with no other process to ask about them. Then
    `drain` is waited for.
    """
    server = grpc.aio.server(options=OPTIONS)
    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack aio
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_generic_rpc_handlers(tuple(handlers))
    if link is not None:
        _listen_with_tls(server, link)
        await server.start()
    else:
        await _start_on_socket(server, socket)
    for name in ("", *(method.split("/")[1] for method in (CHECK, PROCESS))):
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield
    finally:
        seconds = leave()
        if seconds:
            await servicer.enter_graceful_shutdown()
            await asyncio.sleep(seconds)
        await drain()
        await server.stop(STOP_SECONDS)


async def _start_on_socket(server: grpc.aio.Server, socket: Path) -> None:
    socket.unlink(missing_ok=True)  # left behind by a process that was killed
    try:
        server.add_insecure_port(f"unix:{socket}")
    except RuntimeError as error:
        raise Misconfigured(f"cannot listen on {socket}; is another authz running here?") from error
    await server.start()
    socket.chmod(0o600)


def _listen_with_tls(server: grpc.aio.Server, link: Link) -> None:
    host, port = link.listen
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    credentials = server_credentials(PemFiles(link.cert, link.key, link.authority), section="service")
    try:
        server.add_secure_port(address, credentials)
    except RuntimeError as error:
        raise Misconfigured(f"service: cannot listen on {address}; is it taken?") from error
