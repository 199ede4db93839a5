"""The messages that we send to Envoy's ext_proc filter, built from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from google.protobuf.struct_pb2 import Struct

from authz_service.framing.headers import MODEL_HEADER, SESSION_HEADER
from authz_service.servers.wire.base_pb2 import HeaderValue, HeaderValueOption, HttpStatus
from authz_service.servers.wire.ext_proc_pb2 import (
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ImmediateResponse,
    ProcessingResponse,
    TrailersResponse,
)

LARGEST_CHUNK = 62_000
"""Bytes of body in one message to Envoy; larger ones were seen to fail."""

MOST_REMEMBERED = 128
"""Messages that are kept of each kind, for one set of header names each (which may take 60 KiB)."""

_NO_MARKS: Mapping[str, str] = {}
_ALLOWED = Struct()
_ALLOWED.update({"authz": {"decision": "allow"}})


def release_request(*, set_headers: Mapping[str, str], remove: Iterable[str]) -> ProcessingResponse:
    """Let the request's headers go, with the decision that the RBAC lock asks for, and route anew."""
    common = CommonResponse(header_mutation=_mutation(set_headers, remove), clear_route_cache=True)
    return ProcessingResponse(request_headers=HeadersResponse(response=common), dynamic_metadata=_ALLOWED)


@lru_cache(maxsize=MOST_REMEMBERED)
def released_request(*, model: str, path: str, remove: tuple[str, ...]) -> ProcessingResponse:
    """`release_request` to `model` at `path`, built once for callers that send the same headers.

    It is for all of them: nobody may change it.
    """
    return release_request(set_headers={MODEL_HEADER: model, ":path": path}, remove=remove)


def release_answer(*, set_headers: Mapping[str, str], remove: Iterable[str]) -> ProcessingResponse:
    """Let the answer's headers go."""
    common = CommonResponse(header_mutation=_mutation(set_headers, remove))
    return ProcessingResponse(response_headers=HeadersResponse(response=common))


def released_answer(
    *, session: str, remove: tuple[str, ...], marks: Mapping[str, str] = _NO_MARKS
) -> ProcessingResponse:
    """`release_answer` under the name of `session`, with `marks` that few answers have."""
    if marks:
        return release_answer(set_headers={SESSION_HEADER: session, **marks}, remove=remove)
    response = ProcessingResponse()
    response.CopyFrom(_released_answer(remove))
    header = response.response_headers.response.header_mutation.set_headers[0].header
    header.raw_value = session.encode()
    return response


@lru_cache(maxsize=MOST_REMEMBERED)
def _released_answer(remove: tuple[str, ...]) -> ProcessingResponse:
    return release_answer(set_headers={SESSION_HEADER: ""}, remove=remove)


def request_body(body: bytes) -> list[ProcessingResponse]:
    """The whole request body, ended."""
    responses = []
    for piece, is_end in _pieces(body, is_last=True):
        response = ProcessingResponse()
        _fill(response.request_body, piece, is_end=is_end)
        responses.append(response)
    return responses


def answer_body(body: bytes, *, is_last: bool) -> list[ProcessingResponse]:
    """A piece of the answer's body."""
    responses = []
    for piece, is_end in _pieces(body, is_last=is_last):
        response = ProcessingResponse()
        _fill(response.response_body, piece, is_end=is_end)
        responses.append(response)
    return responses


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


def _pieces(body: bytes, *, is_last: bool) -> list[tuple[bytes, bool]]:
    """Pieces that fit a message, one at least, each with whether it is the end."""
    if len(body) <= LARGEST_CHUNK:
        return [(body, is_last)]
    pieces = [body[i : i + LARGEST_CHUNK] for i in range(0, len(body), LARGEST_CHUNK)]
    return [(piece, False) for piece in pieces[:-1]] + [(pieces[-1], is_last)]


def _fill(response: BodyResponse, piece: bytes, *, is_end: bool) -> None:
    """In place: a message that is built from messages copies the body once for each."""
    streamed = response.response.body_mutation.streamed_response
    streamed.body = piece
    streamed.end_of_stream = is_end
