"""An identity provider for the whole gateway: many issuers on one port, each with a fault of its own."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.identity.provider import Provider

OPENID = "/.well-known/openid-configuration"
FAULTS = ("slow", "down", "redirecting", "html", "large", "foreign")
AUDIENCE = Provider.audience


class IdentityProvider:
    """`with IdentityProvider() as idp:` answers at `idp.issuer(NAME)`; `main` has no fault.

    `published` are the names of the keys that all of them publish.
    """

    def __init__(self) -> None:
        self.signer = Provider()
        self.published: tuple[str, ...] = ("rsa", "ec", "small")
        self.paths: list[str] = []
        self.let_go = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def issuer(self, name: str = "main") -> str:
        """The URL of one of the issuers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def token(self, key: str = "rsa", *, issuer: str = "main", header: Any = None, **changes: Any) -> str:
        """A token of alice, of staff, good for ten minutes but for `changes`."""
        now = int(time.time())
        claims = {"iss": self.issuer(issuer), "iat": now, "exp": now + 600} | changes
        return self.signer.token(key, header=header, **claims)

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        name = path.split("/")[1]
        issuer = self.issuer(name)
        match name:
            case "slow":
                self.let_go.wait(60)
            case "down":
                return 503, {}, b""
            case "redirecting":
                return 302, {"location": path.replace("redirecting", "main")}, b""
            case "html":
                return 200, {"content-type": "text/html"}, b"<html>Log in</html>"
            case "large":
                return 200, {}, b"{" + b" " * 10_000_000 + b"}"
            case "foreign":
                issuer = self.issuer()
        if path.endswith(OPENID):
            return 200, {}, json.dumps({"issuer": issuer, "jwks_uri": f"{issuer}/keys"}).encode()
        return (200, {}, self.signer.jwks(*self.published)) if path.endswith("/keys") else (404, {}, b"")

    def _handler(provider) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.paths.append(self.path)
                status, headers, body = provider._answer(self.path)
                try:
                    self.send_response(status)
                    for name, value in {"content-length": str(len(body)), **headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # whoever asked has had enough

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
