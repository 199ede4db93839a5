"""Where the browser comes back to: a server on this machine's loopback for one answer (RFC 8252 7.3)."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

from authz_cli.exits import Exit, Failure

SILENCE = 10.0  # seconds after which a connection without a request is closed; browsers open some ahead
_PAGE = (
    "<!doctype html><meta charset=utf-8><title>authz</title>"
    "<p>{}</p><p>You can close this window and go back to the terminal."
)


@dataclass(frozen=True, slots=True)
class Loopback:
    """`redirect` is the URL with the port that was taken."""

    redirect: str
    answers: queue.Queue[str]

    def answer(self, *, within: float) -> str:
        """The query of the answer; raises `Failure` when none came in so many seconds."""
        try:
            return self.answers.get(timeout=within)
        except queue.Empty:
            message = f"nobody logged in within {within:.0f} seconds; log in again, or with --no-browser"
            raise Failure(message, Exit.UNDECIDED) from None


@contextmanager
def listening(redirect: str, is_ours: Callable[[str], bool]) -> Iterator[Loopback]:
    """Wait at `redirect` for a request whose query `is_ours`; all others are answered with an error."""
    parts = urlsplit(redirect)
    answers: queue.Queue[str] = queue.Queue()
    path = parts.path or "/"

    class Handler(BaseHTTPRequestHandler):
        timeout = SILENCE

        def do_GET(self) -> None:
            came = urlsplit(self.path)
            if came.path != path or not is_ours(came.query):
                self._say(400, "This is no answer to the login that waits here.")
                return
            self._say(200, "The provider has answered.")
            answers.put(came.query)

        def _say(self, status: int, text: str) -> None:
            body = _PAGE.format(text).encode()
            self.send_response(status)
            headers = {
                "content-type": "text/html; charset=utf-8",
                "content-length": str(len(body)),
                "cache-control": "no-store",
                "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
                "referrer-policy": "no-referrer",
                "connection": "close",
            }
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the request line has the code in it."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", parts.port or 0), Handler)
    except OSError as error:
        message = f"port {parts.port} of this machine is taken ({error.strerror}); log in with --no-browser"
        raise Failure(message, Exit.CONFLICT) from error
    server.daemon_threads, server.block_on_close = True, False
    serving = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()
    try:
        with_port = f"{parts.hostname}:{server.server_address[1]}"
        yield Loopback(parts._replace(netloc=with_port).geturl(), answers)
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
