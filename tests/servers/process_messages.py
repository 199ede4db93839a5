"""What Envoy sends on a stream of the Process service, as a test says it."""

from __future__ import annotations

from collections.abc import Sequence

from authz_service.servers.incoming import SEAL_NAMESPACE
from authz_service.servers.wire.base_pb2 import HeaderMap, HeaderValue
from authz_service.servers.wire.ext_proc_pb2 import (
    HttpBody,
    HttpHeaders,
    HttpTrailers,
    ProcessingRequest,
)

CHAT = "/v1/chat/completions"


def request_headers(
    seal: str, *more: tuple[str, str], method: str = "POST", path: str = CHAT, end: bool = False
) -> ProcessingRequest:
    """The request's headers with the seal that came from Check."""
    pairs = [(":method", method), (":path", path), (":authority", "gateway"), (":scheme", "http")]
    if not end:
        pairs.append(("content-type", "application/json"))
    message = ProcessingRequest(request_headers=_headers([*pairs, *more], end=end))
    message.metadata_context.filter_metadata[SEAL_NAMESPACE].update({"seal": seal})
    return message


def request_body(body: bytes, *, end: bool = True) -> ProcessingRequest:
    """A piece of the request's body."""
    return ProcessingRequest(request_body=HttpBody(body=body, end_of_stream=end))


def request_trailers(*pairs: tuple[str, str]) -> ProcessingRequest:
    """The request's trailers."""
    return ProcessingRequest(request_trailers=HttpTrailers(trailers=_map(pairs)))


def answer_headers(
    status: str = "200", *more: tuple[str, str], end: bool = False, kind: str = "application/json"
) -> ProcessingRequest:
    """The answer's headers."""
    pairs = [(":status", status), ("content-type", kind), *more]
    return ProcessingRequest(response_headers=_headers(pairs, end=end))


def answer_body(body: bytes, *, end: bool = False) -> ProcessingRequest:
    """A piece of the answer's body."""
    return ProcessingRequest(response_body=HttpBody(body=body, end_of_stream=end))


def answer_trailers(*pairs: tuple[str, str]) -> ProcessingRequest:
    """The answer's trailers."""
    return ProcessingRequest(response_trailers=HttpTrailers(trailers=_map(pairs)))


def _headers(pairs: Sequence[tuple[str, str]], *, end: bool) -> HttpHeaders:
    return HttpHeaders(headers=_map(pairs), end_of_stream=end)


def _map(pairs: Sequence[tuple[str, str]]) -> HeaderMap:
    return HeaderMap(headers=[HeaderValue(key=key, raw_value=value.encode()) for key, value in pairs])
