"""A provider on loopback that answers what a test tells it to."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest


def unsigned(**claims: Any) -> str:
    """A token as a provider's, for who does not verify signatures."""
    parts = ({"alg": "RS256"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2ln"])


class ScriptedProvider:
    """`answers` maps a path to the (status, body) pairs that it gives in turn; the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, object]]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._answer(self, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                provider._answer(self, {name: values[0] for name, values in parse_qs(body).items()})

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.answers["/.well-known/openid-configuration"] = [(200, self.metadata())]

    def metadata(self, **changes: object) -> dict[str, object]:
        """The usual, with changes."""
        names = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "device_authorization_endpoint": "device",
            "revocation_endpoint": "revoke",
        }
        return {"issuer": self.issuer} | {n: f"{self.issuer}/{p}" for n, p in names.items()} | changes

    def grant(
        self, *, audience: str = "authz-review", expires_in: float = 600, **more: Any
    ) -> dict[str, Any]:
        """A good answer of the token endpoint."""
        token = unsigned(iss=self.issuer, sub="rita", aud=audience, exp=int(time.time() + expires_in))
        return {"access_token": token, "token_type": "Bearer"} | more

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        path = handler.path.partition("?")[0]
        self.asked.append((path, form))
        listed = self.answers.get(path, [(404, {})])
        status, body = listed.pop(0) if len(listed) > 1 else listed[0]
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-length", str(len(content)))
        if status == 302:
            handler.send_header("location", f"{self.issuer}/elsewhere")
        handler.end_headers()
        handler.wfile.write(content)


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    running = ScriptedProvider()
    yield running
    running.close()
