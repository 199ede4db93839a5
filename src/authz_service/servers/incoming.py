"""A request as Envoy's Process stream brings it: its head, as Check sealed it, and its whole body."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from authz_service.core.events import BodyRead, CallerLeft, RequestFailed
from authz_service.errors import AuthzError, Forbidden, Unavailable, Unreadable
from authz_service.framing.encoding import RequestFormat, check_request_encoding
from authz_service.framing.headers import REQUEST_ALLOWED
from authz_service.keys.seal import Sealed, Sealer
from authz_service.model_apis.registry import find_operation
from authz_service.runtime.gateway import Reservation
from authz_service.servers.wire.ext_proc_pb2 import HttpHeaders, ProcessingRequest, ProcessingResponse
from authz_service.values import value

Context = grpc.aio.ServicerContext[ProcessingRequest, ProcessingResponse]

SEAL_NAMESPACE = "envoy.filters.http.ext_authz"
READ = REQUEST_ALLOWED | {":method", ":path", ":authority", "content-encoding", "prefer"}
"""The request headers of which the values are read."""
BODYLESS_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


@value
class Incoming:
    """The head of a request; header names are in lower case, as they came, values as text.

    Method and path are those that Check sealed, the path without its query.
    """

    names: tuple[str, ...]
    headers: Mapping[str, str]
    has_body: bool
    sealed: Sealed
    method: str
    path: str


async def next_message(context: Context) -> ProcessingRequest | None:
    """The next message, or None when Envoy has ended the stream."""
    message: object = await context.read()
    return message if isinstance(message, ProcessingRequest) else None


def open_head(first: ProcessingRequest | None, sealer: Sealer, now: float) -> Incoming:
    """The head of the request, which must be the one that Check saw; raises `Forbidden`."""
    if first is None or not first.HasField("request_headers"):
        raise Forbidden("the stream did not begin with request headers")
    seal = first.metadata_context.filter_metadata[SEAL_NAMESPACE].fields["seal"].string_value
    sealed = sealer.open(seal, now)
    names = header_names(first.request_headers)
    headers = header_texts(first.request_headers, names, READ)
    if (headers.get(":method"), headers.get(":path")) != (sealed.method, sealed.path):
        raise Forbidden("method or path changed after they were checked", code="invalid_seal")
    if headers.get(":authority") != sealed.host:
        raise Forbidden("the host changed after it was checked", code="invalid_seal")
    has_body = not first.request_headers.end_of_stream
    return Incoming(names, headers, has_body, sealed, sealed.method, sealed.path.partition("?")[0])


async def read_request(
    incoming: Incoming, context: Context, *, limit: int, reservation: Reservation
) -> BodyRead | RequestFailed | CallerLeft:
    """The whole request, of `limit` bytes at most; what cannot be judged as a whole is refused."""
    try:
        body = await _read_body(context, limit, reservation) if incoming.has_body else b""
        if body is None:
            return CallerLeft()
        if body and incoming.method in BODYLESS_METHODS:
            message = f"A request of method {incoming.method} has no body here; send it without one."
            raise Unreadable(message, code="unexpected_body")
        if body:
            headers = incoming.headers
            found = find_operation(incoming.method, incoming.path)
            takes = RequestFormat.JSON if found is None else found[1].takes
            check_request_encoding(headers.get("content-type"), headers.get("content-encoding"), takes)
    except AuthzError as error:
        return RequestFailed(error.with_traceback(None))  # which would keep what was read of the body
    return BodyRead(body)


async def _read_body(context: Context, limit: int, reservation: Reservation) -> bytes | None:
    """The body; None when the stream ended before it did."""
    chunks: list[bytes] = []
    while True:
        message: object = await context.read()
        if not isinstance(message, ProcessingRequest):
            return None
        match message.WhichOneof("request"):
            case "request_body":
                chunks.append(message.request_body.body)
                reservation.add(len(message.request_body.body))
            case "request_trailers":
                raise Unreadable("Trailers are not read; send the request without.", code="trailers")
            case _:
                raise Unavailable("The gateway ended this request before it had arrived in full.")
        if reservation.size > limit:
            too_large = f"The body is larger than the limit of {limit} bytes."
            raise Unreadable(too_large, code="too_large", status=413)
        if message.request_body.end_of_stream:
            return b"".join(chunks)


def header_names(message: HttpHeaders) -> tuple[str, ...]:
    """The names in the order of the wire, repeated ones too."""
    return tuple([header.key for header in message.headers.headers])


def header_texts(message: HttpHeaders, names: tuple[str, ...], wanted: frozenset[str]) -> dict[str, str]:
    """The values of those names that are `wanted`: to read one from a message takes its time.

    Those of repeated names are joined (RFC 9110 5.3); what is not UTF-8 shows as U+FFFD.
    """
    listed = message.headers.headers
    texts: dict[str, str] = {}
    for at, name in enumerate(names):
        if name in wanted:
            raw = listed[at].raw_value
            text = str(raw, "utf-8", "replace") if raw else listed[at].value
            texts[name] = f"{texts[name]},{text}" if name in texts else text
    return texts
