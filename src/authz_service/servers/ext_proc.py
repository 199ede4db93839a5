"""ext_proc: carries one exchange between Envoy's Process stream and its driver.

The stream is never ended cleanly before both directions are: a clean end would let Envoy pass the
rest on undecided. Whatever goes wrong here ends in `context.abort(INTERNAL)`, which fails closed.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import unquote

import grpc
import structlog

from authz_service.core.events import AnswerFailed, AnswerStarted, BodyRead, CallerLeft, RequestFailed
from authz_service.core.exchange import Exchange
from authz_service.core.request import Request
from authz_service.errors import AuthzError, Unreadable
from authz_service.framing.headers import ANSWER_ALLOWED, REQUEST_ALLOWED, left_to_envoy
from authz_service.inspection.spans import SpanMerger, mask
from authz_service.keys.ids import new_id
from authz_service.masking.seams import Progress
from authz_service.model_apis.registry import find_operation
from authz_service.runtime.driver import Driver, LetGo
from authz_service.runtime.gateway import Gateway, Reservation
from authz_service.runtime.judging import Route
from authz_service.runtime.mailbox import AnswerChunk, Mailbox
from authz_service.runtime.resuming import Past, past_of
from authz_service.servers.ext_proc_stream import EnvoyStream
from authz_service.servers.incoming import (
    Context,
    Incoming,
    header_texts,
    next_message,
    open_head,
    read_request,
)
from authz_service.servers.local_reply import pass_local_reply
from authz_service.servers.own_paths import own_reply
from authz_service.servers.wire.ext_proc_pb2 import HttpHeaders, ProcessingRequest, ProcessingResponse
from authz_service.servers.wire.methods import PROCESS

log = structlog.get_logger(__name__)


class ProcessServer:
    """The ExternalProcessor service."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def handler(self) -> grpc.GenericRpcHandler[ProcessingRequest, ProcessingResponse]:
        """What a grpc.aio server registers."""
        service, _, method = PROCESS.lstrip("/").partition("/")
        process = grpc.stream_stream_rpc_method_handler(
            self.process,
            request_deserializer=ProcessingRequest.FromString,
            response_serializer=ProcessingResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(service, {method: process})

    async def process(self, _: object, context: Context) -> None:
        """One stream: one exchange."""
        try:
            first = await next_message(context)
            if first is not None and first.HasField("response_headers"):
                await pass_local_reply(context, first)
                return
            incoming = open_head(first, self._gateway.sealer, self._gateway.clock())
        except (AuthzError, ValueError) as error:
            log.warning("process.refused", error=str(error))
            await context.abort(grpc.StatusCode.INTERNAL, "the request was not checked")
        if incoming.sealed.exchange in self._gateway.live:
            await context.abort(grpc.StatusCode.INTERNAL, "the seal is in use on another stream")
        if self._gateway.is_stopping:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the service stops")  # Envoy asks again
        self._gateway.live.add(incoming.sealed.exchange)
        try:
            with self._gateway.reservation() as reservation:
                await self._run(incoming, context, reservation)
        finally:
            self._gateway.live.discard(incoming.sealed.exchange)

    async def _run(self, incoming: Incoming, context: Context, reservation: Reservation) -> None:
        request = self._request(incoming)
        stream = EnvoyStream(context, incoming.headers, request, request_has_body=incoming.has_body)
        driver = self._driver(incoming, stream)
        try:
            await self._drive(driver, stream, incoming, reservation)
        except asyncio.CancelledError:
            if not stream.is_done:
                driver.caller_left()
            raise
        except LetGo:
            # Nothing was sent on this stream, so Envoy asks again: another process, or this one restarted.
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the service stops")
        except Exception as error:
            _log_failure(error, incoming.sealed.exchange)
            driver.caller_left()
            await context.abort(grpc.StatusCode.INTERNAL, "the exchange failed")
        if not stream.is_done:
            await context.abort(grpc.StatusCode.INTERNAL, stream.failure or "the exchange was cut off")

    async def _drive(
        self, driver: Driver, stream: EnvoyStream, incoming: Incoming, reservation: Reservation
    ) -> None:
        try:
            past = await past_of(self._gateway, incoming.sealed)
        except AuthzError as error:
            await stream.refuse(error)
            return
        driver.exchange.is_recorded = past.is_recorded
        first = await self._first(past, incoming, stream, reservation)
        if isinstance(first, BodyRead):
            reply = await own_reply(self._gateway, incoming.sealed.caller, incoming.method, incoming.path)
            if reply is not None:
                await stream.immediate(reply.status, {"content-type": "application/json"}, reply.body)
                return
        async with _reading_on(stream, driver.mailbox, self._gateway):
            await driver.run(first)

    async def _first(
        self, past: Past, incoming: Incoming, stream: EnvoyStream, reservation: Reservation
    ) -> BodyRead | RequestFailed | CallerLeft:
        if past.refusal is not None:
            return RequestFailed(past.refusal)
        limit = self._gateway.rules.config.limits.body
        return await read_request(incoming, stream.context, limit=limit, reservation=reservation)

    def _request(self, incoming: Incoming) -> Request:
        found = find_operation(incoming.method, incoming.path)
        sealed = incoming.sealed
        return Request(
            session=sealed.exchange,
            caller=sealed.caller,
            pseudonym=self._gateway.pseudonym(sealed.caller.identity),
            method=sealed.method,
            path=incoming.path if found else _masked_path(self._gateway, incoming.path),
            api=found[0].name if found else "",
            headers=_crossing(self._gateway, incoming.headers, REQUEST_ALLOWED),
        )

    def _driver(self, incoming: Incoming, stream: EnvoyStream) -> Driver:
        found = find_operation(incoming.method, incoming.path)
        route = Route(*found) if found else None
        return Driver(self._gateway, Exchange(stream.request), route, stream, new_id)


def _crossing(gateway: Gateway, headers: Mapping[str, str], allowed: frozenset[str]) -> dict[str, str]:
    """What of the headers goes on: allowed names, and readable values without a finding."""
    scan = gateway.rules.scanner.scan
    listed = [(k, v) for k, v in headers.items() if k in allowed]
    return {k: v for k, v in listed if "\ufffd" not in v and not scan(v)}


def _masked_path(gateway: Gateway, path: str) -> str:
    """A path that no model API owns, as it may go on record: judged like text, read as a server would."""
    scanner = gateway.rules.scanner
    text = unquote(path)
    findings = scanner.scan(text)
    if not findings:
        return path
    return mask(text, SpanMerger(scanner.entities).take(Progress(findings, len(text))))


@asynccontextmanager
async def _reading_on(stream: EnvoyStream, mailbox: Mailbox, gateway: Gateway) -> AsyncIterator[None]:
    """Within the context, what comes is read whatever the exchange is doing: a hold must not keep
    Envoy's own replies, or the caller's leaving, from being seen. Raises what reading raised."""
    reader = asyncio.create_task(_read_all(stream, mailbox, gateway))
    try:
        yield
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader


async def _read_all(stream: EnvoyStream, mailbox: Mailbox, gateway: Gateway) -> None:
    try:
        await _read_rest(stream, mailbox, gateway)
    except Exception:
        mailbox.put(CallerLeft())  # or the exchange would wait for ever for what nobody reads
        raise


async def _read_rest(stream: EnvoyStream, mailbox: Mailbox, gateway: Gateway) -> None:
    while True:
        message = await next_message(stream.context)
        if message is None:
            mailbox.put(CallerLeft())
            return
        match message.WhichOneof("request"):
            case "response_headers":
                mailbox.put(_answer_started(message.response_headers, stream, gateway))
            case "response_body":
                body = message.response_body
                mailbox.put(AnswerChunk(body.body, body.end_of_stream))
                await mailbox.has_room()
            case "response_trailers":
                trailers = message.response_trailers.trailers.headers
                stream.answer_trailers = [header.key for header in trailers]
                mailbox.put(AnswerChunk(b"", is_last=True))
            case _:
                continue  # an empty or repeated end of the request's body


def _answer_started(
    headers: HttpHeaders, stream: EnvoyStream, gateway: Gateway
) -> AnswerStarted | AnswerFailed:
    came = header_texts(headers)
    stream.answer_headers = list(came)
    stream.answer_has_body = not headers.end_of_stream
    status = int(came.get(":status", "502"))
    if status < 200 or came.get("content-encoding", "identity") != "identity":  # 101 is no end of an answer
        message = "The model server answered in an encoding or a protocol that is not read here."
        return AnswerFailed(Unreadable(message, code="unreadable_answer", status=502))
    staying = left_to_envoy(came)
    crossing = _crossing(gateway, came, ANSWER_ALLOWED | staying)
    if not staying <= crossing.keys():
        message = "The model server answered with a header that cannot be masked."
        return AnswerFailed(Unreadable(message, code="unmaskable", status=502))
    stream.answer_crossing = frozenset(crossing)
    return AnswerStarted(status, crossing, headers.end_of_stream)


def _log_failure(error: Exception, session: str) -> None:
    """The places, not the message: a message may quote what a caller sent."""
    places = traceback.format_tb(error.__traceback__)
    log.error("process.failed", session=session, error=type(error).__name__, at=places)
