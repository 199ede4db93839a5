"""The way to the server, and who calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from authz_cli.exits import Exit, Failure
from authz_cli.login import Login, log_in
from authz_cli.options import Target

MAX_MESSAGE = 64 * 1024 * 1024


@contextmanager
def channel_to(target: Target) -> Iterator[tuple[Login, grpc.Channel]]:
    """Who calls, and the way to the server."""
    login = log_in(target)
    with open_channel(login) as channel:
        yield login, channel


def open_channel(login: Login) -> grpc.Channel:
    """The way to the server; nothing is sent yet."""
    options = [
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.keepalive_time_ms", 30_000),  # a watch on a server that is gone without a word ends
        ("grpc.enable_http_proxy", 0),  # a proxy from the environment has no business with tokens
    ]
    return _channel(login, options)


def _channel(login: Login, options: list[tuple[str, int]]) -> grpc.Channel:
    if login.address.startswith("unix:"):
        return grpc.insecure_channel(login.address, options=options)
    try:
        root = login.ca.read_bytes() if login.ca else None
    except OSError as error:
        raise Failure(f"cannot read {login.ca}: {error.strerror}", Exit.USAGE) from error
    return grpc.secure_channel(login.address, grpc.ssl_channel_credentials(root), options=options)
