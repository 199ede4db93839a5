"""The fuzz targets hold for everything that fuzzing begins with, and each of them can fail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.fuzz import bodies, decoders, forms, texts
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

from authz_service.errors import Unreadable
from authz_service.framing.json_document import read_json
from authz_service.framing.multipart import Form, read_form
from authz_service.framing.ndjson import NdjsonDecoder
from authz_service.framing.sse import SseDecoder
from authz_service.masking.detectors import build_scanner
from authz_service.masking.seams import IncrementalScanner, Progress

MOST = 700
"""Seeds of one target that are tried; fuzzing itself begins with all."""


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_for_its_seeds(target: str) -> None:
    every = list(seeds(target))
    assert every
    for seed in every[:: -(-len(every) // MOST)]:
        TARGETS[target](seed)


def finds(target: str) -> None:
    """At least one seed of the target is a finding."""
    with pytest.raises((AssertionError, ValueError)):  # noqa: PT012  which seed it is does not matter
        for seed in seeds(target):
            TARGETS[target](seed)


def test_a_reader_that_takes_what_is_no_json_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "read_json", lambda data, **_: json.loads(data.partition(b" x")[0]))
    finds("json")


def test_a_decoder_that_ends_events_where_bytes_were_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(SseDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return [data] if data else []

    monkeypatch.setattr(decoders, "SseDecoder", Hasty)
    finds("sse")


def test_a_decoder_that_ends_lines_where_bytes_were_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(NdjsonDecoder):
        def feed(self, data: bytes) -> list[bytes]:
            return [*super().feed(data), *self.finish()]

    monkeypatch.setattr(decoders, "NdjsonDecoder", Hasty)
    finds("ndjson")


def test_a_form_that_is_taken_apart_by_line_feeds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def lax(body: bytes, boundary: str) -> Form:
        form = read_form(body, boundary)
        return Form(boundary, tuple(replace(p, data=p.data.partition(b"\n")[0]) for p in form.parts))

    monkeypatch.setattr(forms, "read_form", lax)
    finds("form")


@pytest.mark.parametrize("target", ["request", "answer"])
def test_a_scanner_that_sees_nothing_is_found(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setattr(bodies, "scanner", lambda: build_scanner(["CREDIT_CARD"]))
    finds(target)


def test_a_reader_that_forgets_a_field_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = bodies._forward

    def forgetful(api: Any, operation: Any, body: bytes) -> bytes | None:
        document = json.loads(body)
        hidden = document.pop("metadata", None) if isinstance(document, dict) else None
        out = forward(api, operation, json.dumps(document).encode())
        if out is None or hidden is None:
            return out
        return json.dumps({**json.loads(out), "metadata": hidden}).encode()

    monkeypatch.setattr(bodies, "_forward", forgetful)
    finds("request")


class Early:
    """A stream that settles what it has as soon as it comes."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole
        self._length = 0

    def feed(self, text: str) -> Progress:
        self._length += len(text)
        start = self._length - len(text)
        moved = [type(f)(f.entity, f.start + start, f.end + start) for f in self._whole.scan(text)]
        return Progress(tuple(moved), self._length)

    def finish(self, text: str = "") -> Progress:
        return self.feed(text)


class EarlyScanner:
    """A scanner whose streams are early."""

    def __init__(self) -> None:
        self._whole = build_scanner()
        self.entities = self._whole.entities

    def scan(self, text: str, *, embedded_json: bool = False) -> Sequence[Any]:
        return self._whole.scan(text, embedded_json=embedded_json)

    def incremental(self, *, embedded_json: bool = False) -> IncrementalScanner:
        return Early(self._whole)


@pytest.mark.parametrize("target", ["text", "embedded", "dialect"])
def test_a_masker_that_settles_too_early_is_found(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setattr(texts, "scanner", EarlyScanner)
    finds(target)


def test_what_is_refused_is_no_finding() -> None:
    with pytest.raises(Unreadable):
        read_json(b"NaN", max_depth=8)
    decoders.json_document(b"NaN")
