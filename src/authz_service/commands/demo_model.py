"""A small model server to try the gateway with: `python -m authz_service.commands.demo_model --port 0`."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any

import click

from authz_service.commands.demo_answers import BadRequest, answer, chunks, whole

CHAT_COMPLETIONS = "/v1/chat/completions"
MAX_BODY = 64 * 1024 * 1024
IDLE_SECONDS = 600.0
_GET = ("/health", "/v1/models")


class DemoModel(ThreadingHTTPServer):
    """The server; each connection has a thread, which ends with the process. `delay` is in seconds."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, host: str, port: int, *, model: str = "demo", delay: float = 0.0) -> None:
        super().__init__((host, port), _Exchange)
        self.model = model
        self.delay = delay
        self.started = int(time.time())

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is nothing to report."""


class _Exchange(BaseHTTPRequestHandler):
    server: DemoModel
    protocol_version = "HTTP/1.1"
    server_version = "demo-model"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        match self.path:
            case "/health":
                self._send(200, {"status": "ok"})
            case "/v1/models":
                entry = {"id": self.server.model, "object": "model", "created": self.server.started}
                self._send(200, {"object": "list", "data": [entry | {"owned_by": "demo"}]})
            case _:
                self._refuse(405 if self.path == CHAT_COMPLETIONS else 404, "there is nothing to GET here")

    def do_POST(self) -> None:
        try:
            data = _read_body(self.headers, self.rfile)
        except BadRequest as refusal:
            self.close_connection = True  # where this body ends and the next request begins is not known
            self._refuse(400, str(refusal))
            return
        if self.path != CHAT_COMPLETIONS:
            self._refuse(405 if self.path in _GET else 404, "there is nothing to POST to here")
            return
        try:
            body = json.loads(data)
            said = answer(body, created=int(time.time()))
        except BadRequest as refusal:
            self._refuse(400, str(refusal))
        except (ValueError, RecursionError):
            self._refuse(400, "the body is not JSON")
        else:
            options = body.get("stream_options")
            usage = isinstance(options, dict) and options.get("include_usage") is True
            if body.get("stream") is True:
                self._stream(list(chunks(said, include_usage=usage)))
            else:
                self._send(200, whole(said))

    def _stream(self, documents: list[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for document in documents:
            self._write_event(_json(document))
            if self.server.delay:
                time.sleep(self.server.delay)
        self._write_event(b"[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def _write_event(self, data: bytes) -> None:
        event = b"data: " + data + b"\n\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))

    def _send(self, status: int, document: object) -> None:
        data = _json(document)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, status: int, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self._send(status, {"error": error})

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: a log line would repeat what was asked."""


def _read_body(headers: Message, source: BufferedIOBase) -> bytes:
    """A body by length or in chunks (RFC 9112 6); `BadRequest` for one whose end is in doubt."""
    lengths, codings = headers.get_all("content-length", []), headers.get_all("transfer-encoding", [])
    if codings:
        if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise BadRequest("the length of the body is in doubt")
        return _read_chunks(source)
    if not lengths:
        return b""
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise BadRequest("the length of the body is in doubt")
    return _read_exactly(source, int(lengths[0][:12]))


def _read_chunks(source: BufferedIOBase) -> bytes:
    body = bytearray()
    while size := _chunk_size(source.readline(1024)):
        body += _read_exactly(source, size)
        if source.readline(3) != b"\r\n":
            raise BadRequest("a chunk does not end where it should")
        if len(body) > MAX_BODY:
            raise BadRequest("the body is too large")
    while source.readline(8192).strip():
        pass  # trailers
    return bytes(body)


def _chunk_size(line: bytes) -> int:
    digits = line.split(b";")[0].strip()
    if not line.endswith(b"\n") or not digits or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadRequest("a chunk has no size")
    return int(digits, 16)


def _read_exactly(source: BufferedIOBase, size: int) -> bytes:
    if size > MAX_BODY:
        raise BadRequest("the body is too large")
    data = source.read(size)
    if len(data) != size:
        raise BadRequest("the body ends too early")
    return data


def _json(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on; 0 chooses one.")
@click.option("--model", default="demo", show_default=True, help="Name in the list of models.")
@click.option("--delay", default=0.02, show_default=True, help="Seconds between two words of a stream.")
def main(host: str, port: int, model: str, delay: float) -> None:
    """Serve the demo model; prints its port once it listens, and runs until interrupted."""
    with DemoModel(host, port, model=model, delay=delay) as server, suppress(KeyboardInterrupt):
        click.echo(server.port)
        server.serve_forever()


if __name__ == "__main__":
    main()
