"""The messages that we send to Envoy's ext_proc filter, built from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.struct_pb2 import Struct

from authz_service.servers.wire.base_pb2 import HeaderValue, HeaderValueOption, HttpStatus
from authz_service.servers.wire.ext_proc_pb2 import (
    BodyMutation,
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ImmediateResponse,
    ProcessingResponse,
    StreamedBodyResponse,
    TrailersResponse,
)

LARGEST_CHUNK = 62_000
"""Bytes of body in one message to Envoy; larger ones were seen to fail."""

_ALLOWED = Struct()
_ALLOWED.update({"authz": {"decision": "allow"}})


def release_request(*, set_headers: Mapping[str, str], remove: Iterable[str]) -> ProcessingResponse:
    """Let the request's headers go, with the decision that the RBAC lock asks for, and route anew."""
    common = CommonResponse(header_mutation=_mutation(set_headers, remove), clear_route_cache=True)
    return ProcessingResponse(request_headers=HeadersResponse(response=common), dynamic_metadata=_ALLOWED)


def release_answer(*, set_headers: Mapping[str, str], remove: Iterable[str]) -> ProcessingResponse:
    """Let the answer's headers go."""
    common = CommonResponse(header_mutation=_mutation(set_headers, remove))
    return ProcessingResponse(response_headers=HeadersResponse(response=common))


def request_body(body: bytes) -> list[ProcessingResponse]:
    """The whole request body, ended."""
    return [ProcessingResponse(request_body=r) for r in _body(body, is_last=True)]


def answer_body(body: bytes, *, is_last: bool) -> list[ProcessingResponse]:
    """A piece of the answer's body."""
    return [ProcessingResponse(response_body=r) for r in _body(body, is_last=is_last)]


def drop_answer_trailers(names: Iterable[str]) -> ProcessingResponse:
    """End an answer that came with trailers, without them: nobody has judged what they say."""
    mutation = HeaderMutation(remove_headers=list(names))
    return ProcessingResponse(response_trailers=TrailersResponse(header_mutation=mutation))


def immediate(status: int, *, headers: Mapping[str, str], body: bytes) -> ProcessingResponse:
    """Answer the caller in place of the model."""
    return ProcessingResponse(
        immediate_response=ImmediateResponse(
            status=HttpStatus(code=status), headers=_mutation(headers, ()), body=body
        )
    )


def _mutation(set_headers: Mapping[str, str], remove: Iterable[str]) -> HeaderMutation:
    return HeaderMutation(
        set_headers=[
            HeaderValueOption(
                header=HeaderValue(key=key, raw_value=value.encode()),
                append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
            )
            for key, value in set_headers.items()
        ],
        remove_headers=list(remove),
    )


def _body(body: bytes, *, is_last: bool) -> Iterable[BodyResponse]:
    pieces = [body[i : i + LARGEST_CHUNK] for i in range(0, len(body), LARGEST_CHUNK)] or [b""]
    for number, piece in enumerate(pieces, start=1):
        streamed = StreamedBodyResponse(body=piece, end_of_stream=is_last and number == len(pieces))
        mutation = BodyMutation(streamed_response=streamed)
        yield BodyResponse(response=CommonResponse(body_mutation=mutation))
