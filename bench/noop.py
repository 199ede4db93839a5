"""The floor: ext_authz and ext_proc that say yes, with the messages of the real service in their order.

`python -m bench.noop SOCKET`. It runs on the same grpc.aio, schema and options, and does nothing beside:
no token, rule, detector or record. What it costs is what any Python service behind Envoy costs.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import grpc
from bench.plan import Shape

from authz_service.framing.headers import MODEL_HEADER, SESSION_HEADER
from authz_service.servers.ext_proc_messages import (
    answer_body,
    release_answer,
    release_request,
    request_body,
)
from authz_service.servers.gateway import serve_gateway
from authz_service.servers.wire import ext_authz_pb2
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from authz_service.servers.wire.methods import CHECK, PROCESS

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]

_CHECKED: Final = ext_authz_pb2.CheckResponse(ok_response=ext_authz_pb2.OkHttpResponse())
_CHECKED.dynamic_metadata.fields["seal"].string_value = "0" * 500
_REQUEST: Final = release_request(
    # Any of the models: they are one server.
    set_headers={MODEL_HEADER: Shape.WHOLE.value, ":path": "/v1/chat/completions"},
    remove=("x-request-id", "x-forwarded-for"),
)
_ANSWER: Final = release_answer(
    set_headers={SESSION_HEADER: "ses_00000000000000000000000000"}, remove=("server", "date")
)


async def check(_request: ext_authz_pb2.CheckRequest, _context: object) -> ext_authz_pb2.CheckResponse:
    """Whoever it is."""
    return _CHECKED


async def process(_: object, context: Context) -> None:
    """Read the request whole, pass it on, then pass the answer on as it comes."""
    message = await _read(context)
    if message.HasField("request_headers"):
        await _pass_request(context, message)
        message = await _read(context)
    is_last = message.response_headers.end_of_stream
    await context.write(_ANSWER)
    while not is_last:
        body = (await _read(context)).response_body
        is_last = body.end_of_stream
        for response in answer_body(body.body, is_last=is_last):
            await context.write(response)


async def _pass_request(context: Context, headers: ProcessingRequest) -> None:
    chunks: list[bytes] = []
    is_last = headers.request_headers.end_of_stream
    while not is_last:
        body = (await _read(context)).request_body
        chunks.append(body.body)
        is_last = body.end_of_stream
    await context.write(_REQUEST)
    if chunks:
        for response in request_body(b"".join(chunks)):
            await context.write(response)


async def _read(context: Context) -> ProcessingRequest:
    message: object = await context.read()
    if not isinstance(message, ProcessingRequest):
        raise asyncio.CancelledError
    return message


async def serve(socket: Path) -> None:
    """Serve until cancelled."""
    async with serve_gateway(socket, (_check_handler(), _process_handler()), drain=_nothing_waits):
        await asyncio.Event().wait()


async def _nothing_waits() -> None:
    """No exchange is held here, so that none is to be let go."""


def _check_handler() -> grpc.GenericRpcHandler[ext_authz_pb2.CheckRequest, ext_authz_pb2.CheckResponse]:
    service, method = CHECK.lstrip("/").split("/")
    unary = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=ext_authz_pb2.CheckRequest.FromString,
        response_serializer=ext_authz_pb2.CheckResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(service, {method: unary})


def _process_handler() -> grpc.GenericRpcHandler[ProcessingRequest, ProcessingResponse]:
    service, method = PROCESS.lstrip("/").split("/")
    stream = grpc.stream_stream_rpc_method_handler(
        process,
        request_deserializer=ProcessingRequest.FromString,
        response_serializer=ProcessingResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler(service, {method: stream})


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(Path(sys.argv[1])))
