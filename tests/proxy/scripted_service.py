"""A service that answers Envoy as a test's script says, stream by stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from authz_service.servers.wire import ext_authz_pb2 as authz
from authz_service.servers.wire import ext_proc_pb2 as proc
from authz_service.servers.wire.methods import CHECK, PROCESS

Process = Callable[["Stream"], Awaitable[None]]


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
