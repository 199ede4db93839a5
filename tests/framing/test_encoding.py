"""A body is read only in a format and encoding that leave no doubt."""

from __future__ import annotations

import pytest

from authz_service.errors import Unreadable
from authz_service.framing.encoding import BodyFormat, answer_format, check_request_encoding


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8" ',
        "application/json;",
    ],
)
@pytest.mark.parametrize("content_encoding", [None, "", "identity", " Identity"])
def test_json_in_utf_8_is_read(content_type: str, content_encoding: str | None) -> None:
    check_request_encoding(content_type, content_encoding)
    assert answer_format(content_type, content_encoding) is BodyFormat.JSON


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/json; charset=utf-16",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; boundary=x",
        "application/json, text/plain",
        "application/json; charset",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/json\x0b",
    ],
)
def test_any_other_content_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(Unreadable) as refused:
        check_request_encoding(content_type, None)
    assert (refused.value.status, refused.value.code) == (415, "unsupported_content_type")
    with pytest.raises(Unreadable) as refused:
        answer_format(content_type)
    assert (refused.value.status, refused.value.code) == (502, "unreadable_answer")


@pytest.mark.parametrize("content_encoding", ["gzip", "br", "identity, gzip", "identity,identity", "x"])
def test_a_compressed_body_is_refused(content_encoding: str) -> None:
    with pytest.raises(Unreadable) as refused:
        check_request_encoding("application/json", content_encoding)
    assert (refused.value.status, refused.value.code) == (415, "unsupported_encoding")
    with pytest.raises(Unreadable):
        answer_format("text/event-stream", content_encoding)


def test_an_event_stream_is_an_answer_and_no_request() -> None:
    assert answer_format("text/event-stream; charset=utf-8") is BodyFormat.EVENT_STREAM
    with pytest.raises(Unreadable):
        check_request_encoding("text/event-stream", None)


def test_lines_of_json_are_an_answer_where_the_dialect_speaks_them() -> None:
    assert answer_format("application/x-ndjson", formats={BodyFormat.NDJSON}) is BodyFormat.NDJSON
    for content_type in ("application/x-ndjson", "application/x-ndjson; charset=utf-8"):
        with pytest.raises(Unreadable):
            answer_format(content_type)
    with pytest.raises(Unreadable):
        answer_format("text/event-stream", formats={BodyFormat.JSON, BodyFormat.NDJSON})
