"""ext_proc: carries one exchange between Envoy's Process stream and its driver.

The stream is never ended cleanly before both directions are: a clean end would let Envoy pass the
rest on undecided. Whatever goes wrong here ends in `context.abort(INTERNAL)`, which fails closed.
"""

from __future__ import annotations

import asyncio
import traceback
from urllib.parse import unquote

import grpc
import structlog

from authz_service.core.events import BodyRead, CallerLeft, RequestFailed
from authz_service.core.exchange import Exchange
from authz_service.core.request import Request
from authz_service.errors import AuthzError, Unavailable
from authz_service.framing.headers import REQUEST_ALLOWED
from authz_service.framing.prefer import NOTHING_PREFERRED, read_prefer
from authz_service.inspection.spans import SpanMerger, mask
from authz_service.keys.ids import new_id
from authz_service.masking.seams import Progress, Scanner
from authz_service.model_apis.registry import find_operation
from authz_service.runtime.driver import Driver, LetGo
from authz_service.runtime.gateway import Gateway, Reservation
from authz_service.runtime.judging import Route
from authz_service.runtime.mailbox import Mailbox
from authz_service.runtime.resuming import Past, past_of, taken_up
from authz_service.runtime.store_commands import SentAgain
from authz_service.servers.crossing import Crossing
from authz_service.servers.envoy_mail import EnvoyMail
from authz_service.servers.ext_proc_stream import EnvoyStream
from authz_service.servers.incoming import Context, Incoming, next_message, open_head, read_request
from authz_service.servers.local_reply import pass_local_reply
from authz_service.servers.own_paths import own_reply
from authz_service.servers.wire.ext_proc_pb2 import ProcessingRequest, ProcessingResponse
from authz_service.servers.wire.methods import PROCESS

log = structlog.get_logger(__name__)

FRESH_SECONDS = 1.0
"""How long what Check said of a token holds by itself: a body may take minutes, a resumed request hours."""


class ProcessServer:
    """The ExternalProcessor service."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._crossing = Crossing()

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
        if not self._gateway.takes(incoming.sealed):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the service stops")  # Envoy asks again
        self._gateway.live.add(incoming.sealed.exchange)
        marks = self._gateway.marks
        if marks is not None:
            marks.begin(incoming.sealed.exchange)
        reservation = Reservation(self._gateway, incoming.sealed.caller.identity)
        try:
            await self._run(incoming, context, reservation)
        finally:
            reservation.give_back()
            self._gateway.live.discard(incoming.sealed.exchange)
            if marks is not None:
                marks.end(incoming.sealed.exchange)

    async def _run(self, incoming: Incoming, context: Context, reservation: Reservation) -> None:
        found = find_operation(incoming.method, incoming.path)
        route = Route(*found) if found else None
        request = self._request(incoming, route)
        stream = EnvoyStream(context, incoming.names, request, request_has_body=incoming.has_body)
        driver = self._driver(request, route, stream, reservation)
        try:
            past, first = await self._begin(driver, incoming, stream, reservation)
            if first is None:
                return
            driver.exchange.is_recorded, driver.exchange.waited_for = past.is_recorded, past.hold
            try:
                await driver.run(first)
            except SentAgain:
                driver = self._driver(request, route, stream, reservation)
                await self._run_again(driver, past, first, stream)
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

    def _driver(
        self, request: Request, route: Route | None, stream: EnvoyStream, reservation: Reservation
    ) -> Driver:
        mailbox = Mailbox(EnvoyMail(stream, self._gateway, self._crossing).read)
        exchange = Exchange(request, keeps_originals=self._gateway.rules.keeps_originals)
        return Driver(self._gateway, exchange, route, stream, new_id, mailbox, reservation.keep)

    async def _begin(
        self, driver: Driver, incoming: Incoming, stream: EnvoyStream, reservation: Reservation
    ) -> tuple[Past, BodyRead | RequestFailed | CallerLeft | None]:
        """What is known of it, and its first event; None when it has been answered."""
        try:
            if self._gateway.is_stopping and not self._gateway.is_leaving:
                raise _stopping()
            past = await past_of(self._gateway, incoming.sealed, driver.take_up)
        except AuthzError as error:
            await stream.refuse(error)
            return Past(), None
        first = await self._first(past, incoming, stream, reservation)
        if not isinstance(first, BodyRead):
            reservation.give_back()  # now: its end may wait for the store, while others of the caller's come
        if isinstance(first, BodyRead) and incoming.method == "GET":
            reply = await own_reply(self._gateway, incoming.sealed.caller, incoming.method, incoming.path)
            if reply is not None:
                await stream.immediate(reply.status, reply.headers, reply.body)
                return past, None
        return past, first

    async def _run_again(
        self,
        driver: Driver,
        past: Past,
        first: BodyRead | RequestFailed | CallerLeft,
        stream: EnvoyStream,
    ) -> None:
        """Another process has begun this exchange: go on where it was, or refuse."""
        if past.refusal is None:
            try:
                past = await taken_up(driver.take_up)
            except AuthzError as error:
                await stream.refuse(error)
                return
        driver.exchange.is_recorded, driver.exchange.waited_for = True, past.hold
        await driver.run(first if past.refusal is None else RequestFailed(past.refusal))

    async def _first(
        self, past: Past, incoming: Incoming, stream: EnvoyStream, reservation: Reservation
    ) -> BodyRead | RequestFailed | CallerLeft:
        if past.refusal is not None:
            return RequestFailed(past.refusal)
        reservation.has_place = past.is_recorded
        read = await self._read(incoming, stream.context, reservation)
        if isinstance(read, BodyRead) and self._gateway.clock() - incoming.sealed.at > FRESH_SECONDS:
            try:
                await self._gateway.recheck(incoming.sealed.caller)
            except AuthzError as error:
                return RequestFailed(error.with_traceback(None))  # which would keep the body
        return read

    async def _read(
        self, incoming: Incoming, context: Context, reservation: Reservation
    ) -> BodyRead | RequestFailed | CallerLeft:
        """The request; a drain does not wait longer for who is still sending than for an answer."""
        task, reading, exchange = asyncio.current_task(), self._gateway.reading, incoming.sealed.exchange
        limit = self._gateway.rules.config.limits.body
        if task is not None:
            reading[exchange] = task
        try:
            return await read_request(incoming, context, limit=limit, reservation=reservation)
        except asyncio.CancelledError:
            if task is None or exchange in reading or task.uncancel():  # the stream is gone
                raise
            return RequestFailed(_stopping())
        finally:
            reading.pop(exchange, None)

    def _request(self, incoming: Incoming, route: Route | None) -> Request:
        sealed, rules = incoming.sealed, self._gateway.rules
        # What a caller writes into a path in the place of a model's name may be anything.
        is_ours = route is not None and (not route.operation.model or route.operation.model in rules.models)
        return Request(
            session=sealed.exchange,
            caller=sealed.caller,
            pseudonym=self._gateway.pseudonym(sealed.caller.identity),
            method=sealed.method,
            path=incoming.path if is_ours else _masked_path(rules.scanner, incoming.path),
            api=route.api.name if route else "",
            source=sealed.source,
            headers=self._crossing.of(incoming.headers, REQUEST_ALLOWED, rules.scanner),
            prefer=read_prefer(prefer) if (prefer := incoming.headers.get("prefer")) else NOTHING_PREFERRED,
        )


def _stopping() -> Unavailable:
    return Unavailable(
        "The gateway stops, and could not wait for this request; send it again.", code="stopping"
    )


def _masked_path(scanner: Scanner, path: str) -> str:
    """A path that is not all ours, as it may go on record: judged like text, read as a server would."""
    text = unquote(path)
    findings = scanner.scan(text)
    if not findings:
        return path
    return mask(text, SpanMerger(scanner.entities).take(Progress(findings, len(text))))


def _log_failure(error: Exception, session: str) -> None:
    """The places, not the message: a message may quote what a caller sent."""
    places = traceback.format_tb(error.__traceback__)
    log.error("process.failed", session=session, error=type(error).__name__, at=places)
