"""Ports: one that is reserved is ours alone."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from authz_service.proxy.probes import accepts, reserved_port


def test_a_server_of_ours_listens_at_a_reserved_port_as_often_as_it_is_started_and_nobody_else() -> None:
    with reserved_port() as port:
        for _ in range(2):
            assert not accepts("127.0.0.1", port)
            with ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler):
                assert accepts("127.0.0.1", port)
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))
