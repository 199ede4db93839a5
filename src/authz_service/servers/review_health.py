"""The review API's answer to load balancers and probes: grpc.health.v1, without a token."""

from __future__ import annotations

from typing import Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICES = ("", "authz.v1.HoldService", "authz.v1.SessionService")
"""The whole server, and what each has; every other name is unknown."""


class Stoppable(Protocol):
    """Whose answer is no from now on."""

    async def enter_graceful_shutdown(self) -> None: ...


async def add_health(server: grpc.aio.Server) -> Stoppable:
    """Have `server` say that it serves, until told that it stops."""
    servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]  # the stubs lack aio
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for name in SERVICES:
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    stoppable: Stoppable = servicer
    return stoppable
