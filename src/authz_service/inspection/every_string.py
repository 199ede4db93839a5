"""Reads a document of which nothing is known: each string, key and large number is a text."""

from __future__ import annotations

from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.numbers import TELLING
from authz_service.view.answer import AnswerField, AnswerFrame
from authz_service.view.request import Path


class EveryString:
    """An answer reader for error bodies, whatever server wrote them."""

    def read(self, document: object) -> AnswerFrame:
        """Every string, key and large number; each is complete in its frame."""
        fields: list[AnswerField] = []
        _collect(document, (), fields)
        return AnswerFrame(tuple(fields))


def _collect(value: object, path: Path, fields: list[AnswerField]) -> None:
    match value:
        case str():
            fields.append(AnswerField("", path, value, is_whole=True))
        case list():
            for i, item in enumerate(value):
                _collect(item, (*path, i), fields)
        case dict():
            for key, item in value.items():
                fields.append(AnswerField("", (*path, key), key, is_key=True, is_whole=True))
                _collect(item, (*path, key), fields)
        case int() | float() if abs(value) >= TELLING:
            fields.append(AnswerField("", path, said_by(value), is_whole=True, is_number=True))
        case _:
            pass
