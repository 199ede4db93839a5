"""Reads a document of which nothing is known: each string, key and large number is a text."""

from __future__ import annotations

from authz_service.view.answer import AnswerField, AnswerFrame
from authz_service.view.request import Path

TELLING = 1_000_000
"""Numbers from which on one is a text too: below are counts and codes."""


class EveryString:
    """An answer reader for error bodies, whatever server wrote them."""

    def __init__(self) -> None:
        self._frames = 0

    def read(self, document: object) -> AnswerFrame:
        """Every string, key and large number; each is complete in its frame."""
        self._frames += 1
        fields: list[AnswerField] = []
        self._collect(document, (), fields)
        return AnswerFrame(tuple(fields), ended=tuple(f.channel for f in fields if not f.is_key))

    def _collect(self, value: object, path: Path, fields: list[AnswerField]) -> None:
        channel = f"{self._frames}/{len(fields)}"
        match value:
            case str():
                fields.append(AnswerField(channel, path, value))
            case list():
                for i, item in enumerate(value):
                    self._collect(item, (*path, i), fields)
            case dict():
                for key, item in value.items():
                    fields.append(AnswerField(f"{channel}/{key}", (*path, key), key, is_key=True))
                    self._collect(item, (*path, key), fields)
            case int() | float() if abs(value) >= TELLING:
                fields.append(AnswerField(channel, path, getattr(value, "token", repr(value))))
            case _:
                pass
