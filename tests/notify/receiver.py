"""A webhook's receiver: a real server that keeps what it was sent, and answers as a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

SECRET = "whsec_" + "c2VjcmV0" * 5


@dataclass(frozen=True)
class Sent:
    """One request, as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.document["type"])


@dataclass
class Receiver:
    """`with Receiver() as receiver:` listens on loopback. It answers `status`, once `go_on` is set."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    sent: list[Sent] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def __post_init__(self) -> None:
        self.go_on.set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    def __enter__(self) -> Self:
        receiver = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.sent.append(Sent(self.path, headers, body))
                receiver.go_on.wait(60)
                try:
                    self.send_response(receiver.status)
                    for name, value in receiver.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(receiver.answer)))
                    self.end_headers()
                    self.wfile.write(receiver.answer)
                except OSError:
                    pass  # who asked has left

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._server is not None
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()

    def until(self, number: int, *, seconds: float = 60.0) -> list[Sent]:
        """What was sent, once that is so many."""
        deadline = time.monotonic() + seconds
        while len(self.sent) < number:
            assert time.monotonic() < deadline, f"{[s.type for s in self.sent]}, not {number} of them"
            time.sleep(0.01)
        return self.sent

    def of_type(self, kind: str, *, seconds: float = 60.0) -> Sent:
        """The first of a type, waited for."""
        deadline = time.monotonic() + seconds
        while True:
            for sent in list(self.sent):
                if sent.type == kind:
                    return sent
            assert time.monotonic() < deadline, f"{[s.type for s in self.sent]}, no {kind}"
            time.sleep(0.01)
