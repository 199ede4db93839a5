"""Messages to Envoy: bodies are cut to what it takes, and what is built once carries nothing of another."""

from __future__ import annotations

import pytest

from authz_service.framing.headers import MODEL_HEADER, SESSION_HEADER
from authz_service.servers.ext_proc_messages import (
    LARGEST_CHUNK,
    answer_body,
    release_answer,
    release_request,
    released_answer,
    released_request,
    request_body,
)
from authz_service.servers.wire.ext_proc_pb2 import ProcessingResponse

SIZES = [0, 1, LARGEST_CHUNK, LARGEST_CHUNK + 1, 2 * LARGEST_CHUNK, 2 * LARGEST_CHUNK + 7]


def pieces(responses: list[ProcessingResponse], kind: str) -> list[tuple[bytes, bool]]:
    sent = [ProcessingResponse.FromString(response.SerializeToString()) for response in responses]
    assert {response.WhichOneof("response") for response in sent} == {kind}
    mutations = [getattr(response, kind).response.body_mutation for response in sent]
    assert {mutation.WhichOneof("mutation") for mutation in mutations} == {"streamed_response"}
    return [(m.streamed_response.body, m.streamed_response.end_of_stream) for m in mutations]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("is_last", [True, False])
def test_a_body_goes_on_whole_in_pieces_that_envoy_takes_and_ends_once(size: int, *, is_last: bool) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    came = pieces(answer_body(body[:size], is_last=is_last), "response_body")
    assert b"".join(piece for piece, _ in came) == body[:size]
    assert all(len(piece) <= LARGEST_CHUNK for piece, _ in came)
    assert [end for _, end in came] == [False] * (len(came) - 1) + [is_last]
    if is_last:
        assert pieces(request_body(body[:size]), "request_body") == came


def test_an_answer_is_released_under_its_own_session_only() -> None:
    first = released_answer(session="ses_1", remove=("server",))
    second = released_answer(session="ses_2", remove=("server",))
    for session, message in (("ses_1", first), ("ses_2", second)):
        assert message == release_answer(set_headers={SESSION_HEADER: session}, remove=("server",))


def test_a_request_is_released_to_its_own_model_and_path() -> None:
    for model, path, remove in (("a", "/x", ()), ("b", "/x", ()), ("a", "/y", ()), ("a", "/x", ("via",))):
        expected = release_request(set_headers={MODEL_HEADER: model, ":path": path}, remove=remove)
        assert released_request(model=model, path=path, remove=remove) == expected
