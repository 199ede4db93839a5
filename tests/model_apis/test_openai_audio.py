"""Speech to text: fields are texts, the recording is unread, and an answer says its text once."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.multipart import Form, read_form
from authz_service.model_apis.openai_audio import TRANSCRIPTIONS, TRANSLATIONS, OpenAiAudio
from authz_service.model_apis.openai_audio_words import REFUSED
from authz_service.model_apis.registry import find_operation
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import RequestView, Role
from authz_service.view.unread import Kind, Unread, require_permitted

API = OpenAiAudio()
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(20)
FILE = ('file"; filename="a.wav', WAV)
MODEL = ("model", b"whisper")


def form(*fields: tuple[str, bytes], file_type: str = "audio/wav") -> Form:
    body = b""
    for name, data in fields:
        kind = f"\r\nContent-Type: {file_type}" if "filename" in name and file_type else ""
        body += (
            f'--b\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n'.encode() + data + b"\r\n"
        )
    return read_form(body + b"--b--", "b")


def read(*fields: tuple[str, bytes], file_type: str = "audio/wav") -> RequestView:
    return API.read_request(TRANSCRIPTIONS, form(FILE, MODEL, *fields, file_type=file_type))


def answered(document: Any) -> AnswerFrame:
    return API.answer_reader(read()).read(document)


def test_the_fields_are_texts_and_the_recording_is_unread() -> None:
    view = read(
        ("prompt", b"names: Ann"),
        ("language", b"en"),
        ("response_format", b"verbose_json"),
        ("timestamp_granularities[]", b"word"),
        ("timestamp_granularities[]", b"other"),
        ("new", b"field"),
    )
    assert [(t.path, t.text) for t in view.texts] == [
        (("file", "filename"), "a.wav"),
        (("prompt",), "names: Ann"),
        (("language",), "en"),
        (("timestamp_granularities[]", 1), "other"),
        (("new",), "new"),
        (("new",), "field"),
    ]
    assert [(t.role, t.new_turn) for t in view.texts if t.path == ("prompt",)] == [(Role.USER, True)]
    (recording,) = view.unread
    assert (recording.kind, recording.type, recording.size, recording.place) == (
        Kind.AUDIO,
        "audio/wav",
        len(WAV),
        "file",
    )
    assert (view.model, view.operation, view.parameters) == (
        "whisper",
        "transcriptions",
        {"response_format": "verbose_json"},
    )


def test_by_default_the_recording_stops_the_request() -> None:
    with pytest.raises(Unreadable, match="file: a recording is not text") as caught:
        require_permitted(read().unread, ())
    assert caught.value.code == "unsupported_content"


@pytest.mark.parametrize(
    ("given", "declared", "mismatch"),
    [("audio/mpeg", "audio/mpeg", True), ("application/octet-stream", "", False), ("", "", False)],
)
def test_what_the_part_declares_is_compared(given: str, declared: str, mismatch: bool) -> None:
    (recording,) = read(file_type=given).unread
    assert (recording.declared, recording.mismatch) == (declared, mismatch)


def test_a_video_needs_more_than_audio_to_be_permitted() -> None:
    webm = b"\x1a\x45\xdf\xa3" + b"\x42\x82\x84webm" + bytes(40)
    view = API.read_request(TRANSCRIPTIONS, form(('file"; filename="a.wav', webm), MODEL))
    found: Unread = view.unread[0]
    assert found.needs == {Kind.AUDIO, Kind.VIDEO}


@pytest.mark.parametrize(
    "fields",
    [
        (FILE,),
        (MODEL,),
        (MODEL, ("file", b"no recording")),
        (FILE, MODEL, ("response_format", b"text")),
        (FILE, MODEL, ("response_format", b"srt")),
        (FILE, MODEL, ("response_format", b"JSON")),
        (FILE, MODEL, ("stream", b"true")),
        (FILE, MODEL, ("include[]", b"logprobs")),
        (FILE, MODEL, ("Prompt", b"x")),
        (FILE, MODEL, ("MODEL", b"x")),
        (FILE, MODEL, ('other"; filename="b.wav', WAV)),
        (('file[]"; filename="a.wav', WAV), MODEL),
        (FILE, MODEL, ("chat_template", b"x")),
    ],
)
def test_what_cannot_be_read_stops_the_request(fields: Any) -> None:
    with pytest.raises(Unreadable):
        require_permitted(API.read_request(TRANSCRIPTIONS, form(*fields)).unread, {Kind.AUDIO})


@pytest.mark.parametrize("key", sorted(REFUSED))
def test_a_refused_field_stops_the_request(key: str) -> None:
    with pytest.raises(Unreadable):
        require_permitted(read((key, b"x")).unread, {Kind.AUDIO})


def test_voices_to_compare_with_are_recordings_too() -> None:
    view = read(("known_speaker_references[]", b"data:audio/wav;base64,UklGRg=="))
    assert [unread.kind for unread in view.unread] == [Kind.AUDIO, Kind.AUDIO]


def test_a_document_is_no_form() -> None:
    with pytest.raises(Unreadable):
        API.read_request(TRANSCRIPTIONS, {"model": "m", "file": "x"})


def test_both_paths_are_owned_and_take_forms() -> None:
    for operation in (TRANSCRIPTIONS, TRANSLATIONS):
        found = find_operation("POST", operation.path)
        assert found is not None
        assert (found[0].name, found[1]) == ("openai_audio", operation)
        assert operation.takes is RequestFormat.FORM
    assert API.model_path(TRANSCRIPTIONS) == ("model",)


def test_segments_and_words_are_cut_where_they_stand_in_the_text() -> None:
    document = {
        "task": "transcribe",
        "language": "english",
        "duration": 3.1,
        "text": "Mail ann@example.com, now.",
        "segments": [
            {"id": 0, "text": " Mail ann@", "tokens": [1, 2], "avg_logprob": -0.1},
            {"id": 1, "text": "example.com, now.", "tokens": []},
        ],
        "words": [{"word": "Mail", "start": 0.0, "end": 0.1}, {"word": "ann@example.com", "start": 1.0}],
        "usage": {"type": "duration", "seconds": 4},
    }
    frame = answered(document)
    said = {field.channel: field for field in frame.fields}
    assert [(e.start, e.end, e.path) for e in said["text"].echoes] == [
        (0, 9, ("segments", 0, "text")),
        (9, 26, ("segments", 1, "text")),
        (0, 4, ("words", 0, "word")),
        (5, 20, ("words", 1, "word")),
    ]
    assert "english" in [field.text for field in frame.fields]
    assert ("segments", 0, "tokens") in frame.cleared
    assert frame.closes


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {},
        {"text": 5},
        {"text": "a", "words": [{"word": "b"}]},
        {"text": "a b", "words": [{"word": "b"}, {"word": "a"}]},
        {"text": "a", "words": ["a"]},
        {"text": "a", "words": "a"},
        {"text": "a", "segments": [5]},
        {"text": "a", "segments": [{"id": 0}]},
        {"text": "", "segments": [{"text": "secret"}]},
        {"error": "x", "segments": [{"text": "secret"}]},
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(document: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        answered(document)
    assert caught.value.status == 502


def test_an_error_is_read_as_text() -> None:
    assert "gone" in [field.text for field in answered({"error": {"message": "gone"}}).fields]
