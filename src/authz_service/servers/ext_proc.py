"""ext_proc: carries one exchange between Envoy's Process stream and its driver.

The stream is never ended cleanly before both directions are: a clean end would let Envoy pass the
rest on undecided. Whatever goes wrong here ends in `context.abort(INTERNAL)`, which fails closed.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import grpc
import structlog

from authz_service.core.events import (
    AnswerFailed,
    AnswerStarted,
    BodyRead,
    CallerLeft,
    RequestFailed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.request import Request
from authz_service.errors import AuthzError, Forbidden, Unavailable, Unreadable
from authz_service.framing.encoding import check_request_encoding
from authz_service.framing.headers import ANSWER_ALLOWED, REQUEST_ALLOWED
from authz_service.keys.ids import new_id
from authz_service.keys.seal import Sealed
from authz_service.model_apis.registry import find_operation
from authz_service.runtime.driver import Driver
from authz_service.runtime.gateway import Gateway
from authz_service.runtime.judging import Route
from authz_service.runtime.mailbox import AnswerChunk, Mailbox
from authz_service.servers.ext_proc_stream import EnvoyStream
from authz_service.servers.local_reply import pass_local_reply
from authz_service.servers.own_paths import own_reply
from authz_service.servers.wire.ext_proc_pb2 import HttpHeaders, ProcessingRequest, ProcessingResponse
from authz_service.servers.wire.methods import PROCESS

log = structlog.get_logger(__name__)

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]

SEAL_NAMESPACE = "envoy.filters.http.ext_authz"
BODYLESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@dataclass(frozen=True, slots=True)
class Incoming:
    """The head of a request as Envoy sent it; header names are in lower case, values as text."""

    headers: Mapping[str, str]
    has_body: bool
    sealed: Sealed

    @property
    def method(self) -> str:
        """The method that Check sealed."""
        return self.sealed.method

    @property
    def path(self) -> str:
        """The path without its query."""
        return self.sealed.path.partition("?")[0]


class ProcessServer:
    """The ExternalProcessor service."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handler(self) -> grpc.GenericRpcHandler[ProcessingRequest, ProcessingResponse]:
        """What a grpc.aio server registers."""
        service, _, method = PROCESS.lstrip("/").partition("/")
        return grpc.method_handlers_generic_handler(
            service,
            {
                method: grpc.stream_stream_rpc_method_handler(
                    self.process,
                    request_deserializer=ProcessingRequest.FromString,
                    response_serializer=ProcessingResponse.SerializeToString,
                )
            },
        )

    async def process(self, _: object, context: Context) -> None:
        """One stream: one exchange."""
        try:
            first = await _next(context)
            if first is not None and first.HasField("response_headers"):
                await pass_local_reply(context, first)
                return
            incoming = self._open(first)
        except (AuthzError, ValueError) as error:
            log.warning("process.refused", error=str(error))
            await context.abort(grpc.StatusCode.INTERNAL, "the request was not checked")
        if incoming.sealed.exchange in self._gateway.live:
            await context.abort(grpc.StatusCode.INTERNAL, "the seal is in use on another stream")
        self._gateway.live.add(incoming.sealed.exchange)
        try:
            await self._run(incoming, context)
        finally:
            self._gateway.live.discard(incoming.sealed.exchange)

    def _open(self, first: ProcessingRequest | None) -> Incoming:
        """The head of the request, as Check sealed it; raises `Forbidden`."""
        if first is None or not first.HasField("request_headers"):
            raise Forbidden("the stream did not begin with request headers")
        seal = first.metadata_context.filter_metadata[SEAL_NAMESPACE].fields["seal"].string_value
        sealed = self._gateway.sealer.open(seal, self._gateway.clock())
        headers = _headers(first.request_headers)
        if (headers.get(":method"), headers.get(":path")) != (sealed.method, sealed.path):
            raise Forbidden("method or path changed after they were checked", code="invalid_seal")
        if headers.get(":authority") != sealed.host:
            raise Forbidden("the host changed after it was checked", code="invalid_seal")
        return Incoming(headers, not first.request_headers.end_of_stream, sealed)

    async def _run(self, incoming: Incoming, context: Context) -> None:
        driver = self._driver(incoming, context)
        stream = driver.transport
        assert isinstance(stream, EnvoyStream)
        size = 0
        reader: asyncio.Task[None] | None = None
        try:
            first = await self._read_request(incoming, context)
            size = len(first.body) if isinstance(first, BodyRead) else 0
            if await self._answered_by_us(incoming, first, stream):
                return
            reader = asyncio.create_task(_read_rest(context, driver.mailbox, stream))
            await driver.run(first)
        except asyncio.CancelledError:
            driver.caller_left()
            raise
        except Exception as error:
            # The places, not the message: a message may quote what a caller sent.
            places = traceback.format_tb(error.__traceback__)
            log.error(
                "process.failed",
                session=incoming.sealed.exchange,
                error=type(error).__name__,
                at=places,
            )
            driver.caller_left()
            await context.abort(grpc.StatusCode.INTERNAL, "the exchange failed")
        finally:
            self._gateway.free(size)
            if reader is not None:
                reader.cancel()
                with suppress(asyncio.CancelledError):
                    await reader
        if not stream.is_done:
            await context.abort(grpc.StatusCode.INTERNAL, stream.failure or "the exchange was cut off")

    def _driver(self, incoming: Incoming, context: Context) -> Driver:
        found = find_operation(incoming.method, incoming.path)
        sealed = incoming.sealed
        request = Request(
            session=sealed.exchange,
            caller=sealed.caller,
            pseudonym=self._gateway.pseudonym(sealed.caller.identity),
            method=sealed.method,
            path=incoming.path,
            api=found[0].name if found else "",
            headers=self._crossing(incoming.headers),
        )
        stream = EnvoyStream(context, incoming.headers, request)
        return Driver(self._gateway, Exchange(request), Route(*found) if found else None, stream, new_id)

    def _crossing(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What of the headers goes on to the model: allowed names, and readable values without a finding."""
        scan = self._gateway.rules.scanner.scan
        allowed = [(k, v) for k, v in headers.items() if k in REQUEST_ALLOWED]
        return {k: v for k, v in allowed if "\ufffd" not in v and not scan(v)}

    async def _answered_by_us(
        self, incoming: Incoming, first: BodyRead | RequestFailed, stream: EnvoyStream
    ) -> bool:
        if isinstance(first, RequestFailed):
            return False
        reply = await own_reply(self._gateway, incoming.sealed.caller, incoming.method, incoming.path)
        if reply is not None:
            await stream.immediate(reply.status, {"content-type": "application/json"}, reply.body)
        return reply is not None

    async def _read_request(self, incoming: Incoming, context: Context) -> BodyRead | RequestFailed:
        """The whole request; anything that cannot be judged as a whole is refused."""
        try:
            body = await self._read_body(context) if incoming.has_body else b""
            if body and incoming.method in BODYLESS_METHODS:
                message = f"A {incoming.method} request has no body here; send it without one."
                raise Unreadable(message, code="unexpected_body")
            if body:
                check_request_encoding(
                    incoming.headers.get("content-type"), incoming.headers.get("content-encoding")
                )
            self._gateway.reserve(len(body))
        except AuthzError as error:
            return RequestFailed(error)
        return BodyRead(body)

    async def _read_body(self, context: Context) -> bytes:
        limit = self._gateway.rules.config.limits.body
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await _next(context)
            if message is None:
                raise asyncio.CancelledError
            match message.WhichOneof("request"):
                case "request_body":
                    size += len(message.request_body.body)
                    chunks.append(message.request_body.body)
                case "request_trailers":
                    raise Unreadable("Trailers are not read; send the request without.", code="trailers")
                case _:
                    raise Unavailable("The gateway ended this request before it had arrived in full.")
            if size > limit:
                message_text = f"The body is larger than the limit of {limit} bytes."
                raise Unreadable(message_text, code="too_large", status=413)
            if message.request_body.end_of_stream:
                return b"".join(chunks)


async def _next(context: Context) -> ProcessingRequest | None:
    """The next message, or None when Envoy has ended the stream."""
    message: object = await context.read()
    return message if isinstance(message, ProcessingRequest) else None


async def _read_rest(context: Context, mailbox: Mailbox, stream: EnvoyStream) -> None:
    """Read what comes after the request, whatever the exchange is doing meanwhile."""
    while True:
        message = await _next(context)
        if message is None:
            mailbox.put(CallerLeft())
            return
        match message.WhichOneof("request"):
            case "response_headers":
                mailbox.put(_answer_started(message.response_headers, stream))
            case "response_body":
                body = message.response_body
                mailbox.put(AnswerChunk(body.body, body.end_of_stream))
                await mailbox.has_room()
            case "response_trailers":
                stream.answer_trailers = list(_header_names(message))
                mailbox.put(AnswerChunk(b"", is_last=True))
            case _:
                continue  # an empty or repeated end of the request's body


def _answer_started(headers: HttpHeaders, stream: EnvoyStream) -> AnswerStarted | AnswerFailed:
    came = _headers(headers)
    stream.answer_headers = list(came)
    stream.answer_has_body = not headers.end_of_stream
    if came.get("content-encoding", "identity") != "identity":
        message = "The model server answered in an encoding that is not read here."
        return AnswerFailed(Unreadable(message, code="unreadable_answer", status=502))
    crossing = {name: value for name, value in came.items() if name in ANSWER_ALLOWED}
    return AnswerStarted(int(came.get(":status", "502")), crossing, headers.end_of_stream)


def _headers(message: HttpHeaders) -> dict[str, str]:
    """Names to values, repeated ones joined (RFC 9110 5.3); what is not UTF-8 shows as U+FFFD."""
    headers: dict[str, str] = {}
    for header in message.headers.headers:
        value = header.raw_value.decode(errors="replace") if header.raw_value else header.value
        headers[header.key] = f"{headers[header.key]},{value}" if header.key in headers else value
    return headers


def _header_names(message: ProcessingRequest) -> list[str]:
    return [header.key for header in message.response_trailers.trailers.headers]
