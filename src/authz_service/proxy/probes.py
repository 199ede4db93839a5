"""Asks whether something listens, or answers; for `authz up` and `authz doctor`."""

from __future__ import annotations

import http.client
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from authz_service.errors import Misconfigured

SECONDS = 2.0


def accepts(host: str, port: int) -> bool:
    """Whether a TCP connection can be opened."""
    try:
        with socket.create_connection((host, port), SECONDS):
            return True
    except OSError:
        return False


def accepts_unix(path: Path) -> bool:
    """Whether a Unix socket has somebody behind it; a file left by a dead process has not."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(SECONDS)
        return client.connect_ex(str(path)) == 0


def gateway_answers(host: str, port: int, *, tls: bool) -> bool:
    """Whether a request passes Envoy to the service and back: a 401, but not a 503."""
    connection = (
        http.client.HTTPSConnection(host, port, timeout=SECONDS, context=_unverified())
        if tls
        else http.client.HTTPConnection(host, port, timeout=SECONDS)
    )
    try:
        connection.request("GET", "/.well-known/authz")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _unverified() -> ssl.SSLContext:
    # The question is whether our own process is up, and nothing secret is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def reachable(host: str) -> str:
    """The address under which this machine reaches a listener on `host`, which may mean any address."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here


def require_free(host: str, port: int) -> None:
    """Raise `Misconfigured` when something listens there already, or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Misconfigured(
                f"cannot listen on {host}:{port} ({error.strerror}); "
                "stop what uses it, or choose another with --listen HOST:PORT"
            ) from error


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with reserved_port() as port:
        return port


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port of the loopback interface that the system gives to nobody else within the context.

    A server of ours can listen there, and again after it has ended: servers set SO_REUSEADDR. Where that
    lets no two sockets have one address (not Linux) the port is only free at first.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = int(holder.getsockname()[1])
        if sys.platform != "linux":
            holder.close()
        yield port
