"""A form is taken apart in the one way in which every reader takes it apart, or refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.framing import multipart
from authz_service.framing.multipart import MOST_PARTS, Form, boundary_in, boundary_of, edit_form, read_form

B = "bound"
AUDIO = bytes(range(256))


def part(data: bytes, *headers: str, name: str = 'name="a"') -> bytes:
    lines = [f"Content-Disposition: form-data; {name}", *headers]
    return b"\r\n".join([*(line.encode() for line in lines), b"", data])


def body(*parts: bytes, end: bytes = b"\r\n") -> bytes:
    return b"".join(b"--bound\r\n" + piece + b"\r\n" for piece in parts) + b"--bound--" + end


FILE = part(AUDIO, "Content-Type: audio/wav", name='name="file"; filename="a.wav"')
WHOLE = body(FILE, part(b"whisper", name='name="model"'), part(b"hello", name='name="prompt"'))


def test_files_and_fields_are_read_with_their_places() -> None:
    form = read_form(WHOLE, B)
    assert [(p.name, p.filename, p.content_type) for p in form.parts] == [
        ("file", "a.wav", "audio/wav"),
        ("model", None, ""),
        ("prompt", None, ""),
    ]
    assert form.parts[0].data == AUDIO
    assert [p.text for p in form.parts[1:]] == ["whisper", "hello"]
    for found in form.parts:
        assert WHOLE[found.start : found.end] == found.data
    named = form.parts[0].named
    assert WHOLE[named : named + 5] == b"a.wav"


@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_what_clients_send_is_read(end: bytes) -> None:
    request = httpx.Request("POST", "http://x", data={"model": "m", "a[]": ["1", "2"]}, files={"file": AUDIO})
    boundary = boundary_of(request.headers["content-type"])
    assert boundary is not None
    sent = request.read().removesuffix(b"\r\n") + end
    form = read_form(sent, boundary)
    assert [p.name for p in form.parts] == ["model", "a[]", "a[]", "file"]
    assert boundary_in(sent) == boundary


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=bound", "bound"),
        ('Multipart/Form-Data;boundary="bound" ', "bound"),
        ("multipart/form-data; boundary=----WebKitFormBoundaryAb1", "----WebKitFormBoundaryAb1"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=a; charset=utf-7", None),
        ("multipart/form-data; charset=utf-8; boundary=a", None),
        ('multipart/form-data; boundary="a', None),
        ('multipart/form-data; boundary="a b"', None),
        ("multipart/form-data; boundary*=utf-8''a", None),
        ("multipart/form-data; boundary=a,multipart/form-data; boundary=b", None),
        ("multipart/mixed; boundary=a", None),
        (f"multipart/form-data; boundary={'a' * 71}", None),
        (None, None),
    ],
)
def test_a_boundary_is_named_once_and_alone(content_type: str | None, boundary: str | None) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"--bound--",
        b"--bound\r\n--bound--",
        b"preamble\r\n" + WHOLE,
        b"\r\n" + WHOLE,
        WHOLE + b"epilogue",
        WHOLE + b"\r\n",
        WHOLE[:-4],
        WHOLE.replace(b"\r\n", b"\n"),
        WHOLE.replace(b"--bound\r\n", b"--bound \r\n", 1),
        WHOLE.replace(b"\r\n--bound\r\n", b"\r\n--boundary\r\n", 1),
        body(part(b"x\n--bound\ny")),
        body(part(b"x--bound")),
        body(part(b"x"), part(b"y")),
        body(part(b"x", name='name="A"; filename="f"'), part(b"x", name='name="A"')),
        body(part(b"x", "Content-Transfer-Encoding: base64")),
        body(part(b"x", "X-Other: 1")),
        body(part(b"x", 'Content-Disposition: form-data; name="b"')),
        body(part(b"x", "Content-Type: multipart/mixed; boundary=c")),
        body(part(b"x", "Content-Type: text/plain; charset=utf-16")),
        body(part(b"x", "Content-Type: application/json")),
        body(part(b"x", "Content-Type: multipart/mixed", name='name="a"; filename="f"')),
        body(part(b"x", "Content-Type: text/plain", "Content-Type: text/plain")),
        body(part(b"x", "Content-Length: 2")),
        body(part(b"x", "Content-Type: text/plain\r\n folded")),
        body(part(b"x", "Content-Type : text/plain")),
        body(part(b"\xff")),
        body(part(b"x", name='name="a b"')),
        body(part(b"x", name="name=a")),
        body(part(b"x", name="name*=utf-8''a")),
        body(part(b"x", name='name="a"; name="b"')),
        body(part(b"x", name='name="a"; filename="a\\"b"')),
        body(part(b"x", name='name="a"; filename="%22"')),
        body(part(b"x", name="name=\"a\"; filename*=utf-8''b")),
        body(part(b"x", name='filename="b"')),
        body(part(b"x", name='name="a\0"')),
        body(b'Content-Disposition: attachment; name="a"\r\n\r\nx'),
        body(b'Content-Disposition: form-data; name="a"\r\n'),
        body(b"\r\n\r\nx"),
        body(part(b"x", "Content-Type: " + "a" * 3000)),
        body(*(part(b"x", name=f'name="n{i}"') for i in range(MOST_PARTS + 1))),
        body(part(b"x", name='name="a"\r\nContent-Disposition: form-data; name="b"')),
    ],
)
def test_whatever_two_readers_could_take_apart_in_two_ways_is_refused(sent: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_form(sent, B)
    assert (caught.value.code, caught.value.status) == ("invalid_form", 400)


@pytest.mark.parametrize("other", [[], [("a", None, b"y")], [("b", None, b"x")], [("a", "f", b"x")]])
def test_what_the_two_readings_tell_differently_is_refused(
    monkeypatch: pytest.MonkeyPatch, other: list[tuple[str, str | None, bytes]]
) -> None:
    read_form(body(part(b"x")), B)
    monkeypatch.setattr(multipart, "_parsed", lambda *_: other)
    with pytest.raises(Unreadable, match="two readers"):
        read_form(body(part(b"x")), B)


def test_a_name_for_several_values_may_come_several_times() -> None:
    form = read_form(body(part(b"1", name='name="a[]"'), part(b"2", name='name="a[]"')), B)
    assert edit_form(
        body(*(part(x, name='name="a[]"') for x in (b"1", b"2"))), form, {("a[]", 1): "two"}
    ) == body(part(b"1", name='name="a[]"'), part(b"two", name='name="a[]"'))


def test_an_edit_changes_its_field_and_no_other_byte() -> None:
    form = read_form(WHOLE, B)
    edits: dict[tuple[str | int, ...], str] = {("prompt",): "[X]", ("file", "filename"): "b", ("model",): "m"}
    edited = edit_form(WHOLE, form, edits)
    file = FILE.replace(b"a.wav", b"b")
    assert edited == body(file, part(b"m", name='name="model"'), part(b"[X]", name='name="prompt"'))
    with pytest.raises(LookupError):
        edit_form(WHOLE, form, {("nowhere",): "x"})


@pytest.mark.parametrize(
    "edits",
    [{("prompt",): "x\r\n--bound\r\n"}, {("file", "filename"): 'a"; x="'}, {("file", "filename"): "a\r\n"}],
)
def test_nothing_is_put_where_it_would_become_another_part(edits: Any) -> None:
    with pytest.raises(Unreadable):
        edit_form(WHOLE, read_form(WHOLE, B), edits)


def test_the_same_form_under_another_boundary_is_the_same() -> None:
    other = WHOLE.replace(b"--bound", b"--other")
    assert read_form(other, "other").canonical() == read_form(WHOLE, B).canonical()
    assert read_form(WHOLE.replace(AUDIO, b"x"), B).canonical() != read_form(WHOLE, B).canonical()


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(WHOLE) - 1),
    st.integers(0, 4),
    st.sampled_from([b"", b"\r\n", b"\n", b"--bound", b'"', b";", b"\0", b"\xff", b"\r\n--bound\r\n"]),
)
@example(0, 0, b"")
def test_what_is_read_of_any_changed_body_is_written_back_the_same(at: int, cut: int, put: bytes) -> None:
    changed = WHOLE[:at] + put + WHOLE[at + cut :]
    try:
        form = read_form(changed, B)
    except Unreadable:
        return
    again = edit_form(changed, form, {})
    assert again == changed
    assert isinstance(form, Form)
    for found in form.parts:
        assert changed[found.start : found.end] == found.data


@pytest.mark.parametrize("name", ["_charset_", "_Charset_"])
def test_a_field_that_says_how_others_are_decoded_is_refused(name: str) -> None:
    with pytest.raises(Unreadable) as refused:
        read_form(body(part(b"utf-7", name=f'name="{name}"'), part(b"+AEA-", name='name="prompt"')), B)
    assert refused.value.code == "invalid_form"
