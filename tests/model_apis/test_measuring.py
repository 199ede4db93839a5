"""Media are decoded strictly, and what they show counts, not what is said of them."""

from __future__ import annotations

import base64
import hashlib

import pytest

from authz_service.model_apis.measuring import measured_bytes, measured_medium, measured_value
from authz_service.view.unread import Kind, usual_type

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
PDF = b"%PDF-1.7\n" + bytes(20)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("text", "declared"),
    [
        (encoded(PNG), ""),
        (f"data:image/png;base64,{encoded(PNG)}", "image/png"),
        (f"DATA:image/png;BASE64,{encoded(PNG)}", "image/png"),
        (f"data:image/jpeg;q=1;base64,{encoded(PNG)}", "image/jpeg"),
    ],
)
def test_media_in_the_document_are_measured_as_the_bytes_that_they_stand_for(
    text: str, declared: str
) -> None:
    found = measured_medium(Kind.IMAGE, text)
    assert (found.kind, found.size, found.type, found.declared) == (
        Kind.IMAGE,
        len(PNG),
        "image/png",
        declared,
    )
    assert found.sha256 == hashlib.sha256(PNG).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not base64!",
        encoded(PNG)[:-2],
        encoded(PNG) + "\n",
        " " + encoded(PNG),
        encoded(b"a")[:1] + "R==",  # spare bits
        "YQ=",
        "YQ",
        "a-_b",
        "é",
        "data:image/png,plain",
        "data:image/png;base64,%69",
        "data:;base64,",
        f"data:image/png;base64, {encoded(PNG)}",
        f"data:image/png;base64,{encoded(PNG)}#x",
    ],
)
def test_what_two_readers_could_decode_in_two_ways_is_malformed(text: str) -> None:
    assert measured_medium(Kind.IMAGE, text).kind is Kind.MALFORMED


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("https://example.com/a.png", "https"),
        ("HTTP://example.com", "http"),
        ("file:///etc/passwd", "file"),
        ("s3://bucket/key", "s3"),
    ],
)
def test_a_url_is_a_reference_with_its_scheme(url: str, scheme: str) -> None:
    found = measured_medium(Kind.IMAGE, url)
    assert (found.kind, found.scheme, found.type) == (Kind.REFERENCE, scheme, "")
    assert found.sha256 == hashlib.sha256(url.encode()).hexdigest()


@pytest.mark.parametrize(("data", "shown"), [(WAV, "audio/wav"), (PDF, "application/pdf"), (b"hello", "")])
def test_the_type_is_that_of_the_content(data: bytes, shown: str) -> None:
    assert measured_bytes(Kind.FILE, data, "image/png").type == shown


def test_anything_else_is_measured_by_its_canonical_form() -> None:
    one, other = measured_value(Kind.TOKENS, {"b": [1, 2], "a": 1}), measured_value(Kind.TOKENS, {"a": 1})
    assert one == measured_value(Kind.TOKENS, {"a": 1, "b": [1, 2]}) != other
    assert one.sha256 == hashlib.sha256(b'{"a":1,"b":[1,2]}').hexdigest()
    assert measured_value(Kind.CODE, "é").size == 2


def test_names_of_one_media_type_are_one() -> None:
    assert usual_type("Audio/MP3; codecs=x") == "audio/mpeg"
    assert usual_type("image/png") == "image/png"
