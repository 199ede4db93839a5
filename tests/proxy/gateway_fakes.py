"""A real Envoy on a free port, before a scripted service and a model server."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proxy.fake_model import FakeModel
from tests.proxy.scripted_service import Stub, allow

from authz_service.proxy.binary import envoy_path
from authz_service.proxy.probes import accepts

CHAT = "/v1/chat/completions"


class Loop:
    """An event loop on a thread of its own, for servers that synchronous tests talk to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine there and wait for its result (60 s at most)."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@dataclass
class Gateway:
    """A running Envoy with what stands behind it."""

    port: int
    stub: Stub
    model: FakeModel
    folder: Path

    def clear(self) -> None:
        """Forget what was asked, and behave again."""
        self.stub.process, self.stub.status = allow, 0
        self.stub.checks.clear()
        self.stub.messages.clear()
        self.model.requests.clear()
        self.model.chunks, self.model.ends = [b'{"answer": 42}'], True
        self.model.gone.clear()

    def logged(self, body: bytes) -> dict[str, Any]:
        """The access log's line about the request with this body, as soon as there is one as long as it."""
        deadline = time.monotonic() + 60
        while True:
            self._flush()  # which a thread of Envoy's does, a moment after it has answered
            lines = (self.folder / "access.log").read_text().splitlines(keepends=True)
            for line in (json.loads(line) for line in reversed(lines) if line.endswith("\n")):
                if line["received"] == len(body):
                    return dict(line)
            assert time.monotonic() < deadline, lines
            time.sleep(0.01)

    def _flush(self) -> None:
        connection = UnixConnection(self.folder / "admin.sock")
        try:
            connection.request("POST", "/reopen_logs")
            connection.getresponse().read()
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the gateway."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(
        self, path: str = CHAT, headers: dict[str, str] | None = None, body: bytes = b"{}"
    ) -> tuple[int, dict[str, str], bytes]:
        """One POST: status, headers and body of the answer."""
        connection = self.connect()
        try:
            connection.request("POST", path, body, headers or {})
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, answer.read()
        finally:
            connection.close()


@contextmanager
def running_envoy(file: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Envoy on `file`, ready to answer on `port`."""
    command = [str(envoy_path()), "-c", str(file), "--disable-hot-restart", "--concurrency", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "-l", "warn"], stdout=output, stderr=output)
        try:
            while not accepts("127.0.0.1", port):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
                assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.terminate()
            process.wait(60)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def secret_text(value: str) -> str:
    """The SDS file of model m's credential."""
    kind = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
    secret = {"secret": {"inline_string": value}}
    return json.dumps({"resources": [{"@type": kind, "name": "credential/m", "generic_secret": secret}]})
