"""The fuzz targets by name: functions of any bytes that return, or raise what is a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.fuzz import bodies, decoders, forms, texts

TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "json": decoders.json_document,
    "sse": decoders.sse,
    "ndjson": decoders.ndjson,
    "form": forms.form,
    "request": bodies.request,
    "answer": bodies.answer,
    "text": texts.plain,
    "embedded": texts.embedded,
    "dialect": texts.dialect,
}
