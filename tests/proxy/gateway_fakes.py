"""A real Envoy on a free port, before a scripted service and a model server that remembers requests."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from authz_service.proxy.binary import envoy_path
from authz_service.proxy.probes import accepts
from authz_service.servers.wire import ext_authz_pb2 as authz
from authz_service.servers.wire import ext_proc_pb2 as proc
from authz_service.servers.wire.methods import CHECK, PROCESS

CHAT = "/v1/chat/completions"
Process = Callable[["Stream"], Awaitable[None]]


class Loop:
    """An event loop on a thread of its own, for servers that synchronous tests talk to."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine there and wait for its result (20 s at most)."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    def close(self) -> None:
        """Stop the loop and its thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Stream:
    """One ext_proc stream: what Envoy said, and how to answer."""

    def __init__(self, context: Any, stub: Stub) -> None:
        self.context = context
        self.stub = stub
        self.first: Any = None

    async def read(self) -> Any:
        """The next message of Envoy's, or None at the end."""
        message = await self.context.read()
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
            return None
        self.stub.messages.append(message)
        return message

    async def write(self, **response: Any) -> None:
        """Send a ProcessingResponse."""
        await self.context.write(proc.ProcessingResponse(**response))

    async def request(self) -> tuple[dict[str, str], bytes]:
        """The whole request: its headers and its body, nothing answered yet."""
        first = self.first
        headers = header_dict(first.request_headers.headers)
        body = b""
        done = first.request_headers.end_of_stream
        while not done:
            message = await self.read()
            if message.HasField("request_trailers"):
                break
            body += message.request_body.body
            done = message.request_body.end_of_stream
        return headers, body

    async def release(self, model: str, body: bytes, **common: Any) -> None:
        """Answer the request headers and the body: allowed, to `model`."""
        await self.headers(model, **common)
        await self.write(request_body=streamed(body, end=True))

    async def headers(self, model: str | None, *, decision: str | None = "allow", **common: Any) -> None:
        """Answer the request headers."""
        mutation = proc.HeaderMutation()
        if model is not None:
            option = mutation.set_headers.add()
            option.header.key, option.header.raw_value = "x-authz-model", model.encode()
            option.append_action = option.OVERWRITE_IF_EXISTS_OR_ADD
        mutation.MergeFrom(common.pop("mutation", proc.HeaderMutation()))
        response = proc.CommonResponse(header_mutation=mutation, clear_route_cache=True, **common)
        message = proc.ProcessingResponse(request_headers=proc.HeadersResponse(response=response))
        if decision is not None:
            message.dynamic_metadata.update({"authz": {"decision": decision}})
        await self.context.write(message)

    async def pass_answer(self) -> None:
        """Let the answer through as it comes, to its end."""
        while (message := await self.read()) is not None:
            if message.HasField("response_headers"):
                await self.write(response_headers=proc.HeadersResponse())
                if message.response_headers.end_of_stream:
                    return
            elif message.HasField("response_body"):
                chunk = message.response_body
                await self.write(response_body=streamed(chunk.body, end=chunk.end_of_stream))
                if chunk.end_of_stream:
                    return


def streamed(body: bytes, *, end: bool) -> proc.BodyResponse:
    """A chunk for Envoy to send on."""
    chunk = proc.StreamedBodyResponse(body=body, end_of_stream=end)
    return proc.BodyResponse(
        response=proc.CommonResponse(body_mutation=proc.BodyMutation(streamed_response=chunk))
    )


def header_dict(headers: Any) -> dict[str, str]:
    """Envoy's header map as a dictionary."""
    return {h.key: (h.raw_value or h.value.encode()).decode() for h in headers.headers}


async def allow(stream: Stream) -> None:
    """Let everything through to the model named m."""
    _, body = await stream.request()
    await stream.release("m", body)
    await stream.pass_answer()


@dataclass
class Stub:
    """ext_authz and ext_proc by script; remembers what it was asked."""

    path: Path
    process: Process = allow
    status: int = 0
    checks: list[Any] = field(default_factory=list)
    messages: list[Any] = field(default_factory=list)

    async def start(self) -> None:
        """Serve on the Unix socket."""
        self.server = grpc.aio.server()
        handlers = {
            CHECK: grpc.unary_unary_rpc_method_handler(
                self._check,
                request_deserializer=authz.CheckRequest.FromString,
                response_serializer=authz.CheckResponse.SerializeToString,
            ),
            PROCESS: grpc.stream_stream_rpc_method_handler(
                self._process,
                request_deserializer=proc.ProcessingRequest.FromString,
                response_serializer=proc.ProcessingResponse.SerializeToString,
            ),
            "/grpc.health.v1.Health/Check": grpc.unary_unary_rpc_method_handler(self._health),
        }
        for method, handler in handlers.items():
            service, name = method.strip("/").split("/")
            generic = grpc.method_handlers_generic_handler(service, {name: handler})
            self.server.add_generic_rpc_handlers((generic,))
        self.server.add_insecure_port(f"unix:{self.path}")
        await self.server.start()

    async def stop(self) -> None:
        """Stop at once, whatever is open."""
        await self.server.stop(None)

    async def _health(self, _request: bytes, _context: Any) -> bytes:
        return b"\x08\x01"  # SERVING

    async def _check(self, request: Any, _context: Any) -> Any:
        self.checks.append(request)
        response = authz.CheckResponse(status=authz.RpcStatus(code=self.status))
        response.dynamic_metadata.update({"seal": "sealed"})
        return response

    async def _process(self, _iterator: Any, context: Any) -> None:
        stream = Stream(context, self)
        stream.first = await stream.read()
        if stream.first.HasField("response_headers"):  # Envoy's own reply, before we were asked
            await stream.write(response_headers=proc.HeadersResponse())
            if not stream.first.response_headers.end_of_stream:
                await stream.pass_answer()
        else:
            await self.process(stream)


@dataclass
class Arrived:
    """A request as the model's server got it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """The values of a header."""
        return [value for key, value in self.headers if key.lower() == name]


class FakeModel:
    """A model's HTTP server: answers each request the same, chunk by chunk."""

    def __init__(self) -> None:
        self.requests: list[Arrived] = []
        self.headers = b"content-type: application/json\r\nserver: banner\r\nset-cookie: a=b\r\n"
        self.chunks: list[bytes] = [b'{"answer": 42}']
        self.ends = True
        self.gone = threading.Event()
        self.port = 0

    async def start(self) -> None:
        """Listen on a free port."""
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening."""
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                self.requests.append(await _arrived(reader))
                writer.write(b"HTTP/1.1 200 OK\r\n" + self.headers + b"transfer-encoding: chunked\r\n\r\n")
                for chunk in self.chunks:
                    writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                    await writer.drain()
                if self.ends:
                    writer.write(b"0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()


async def _arrived(reader: asyncio.StreamReader) -> Arrived:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.strip().split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (item.partition(":") for item in rest)]
    arrived = Arrived(line, headers, b"")
    if arrived.header("transfer-encoding"):
        while size := int(await reader.readline(), 16):
            arrived.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif length := arrived.header("content-length"):
        arrived.body = await reader.readexactly(int(length[0]))
    return arrived


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

    def logged(self) -> list[dict[str, Any]]:
        """The access log's lines, all of them."""
        connection = UnixConnection(self.folder / "admin.sock")
        try:
            connection.request("POST", "/reopen_logs")  # which flushes them
            connection.getresponse().read()
        finally:
            connection.close()
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def connect(self) -> http.client.HTTPConnection:
        """A connection to the gateway."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)

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
            process.wait(10)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=15)
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
