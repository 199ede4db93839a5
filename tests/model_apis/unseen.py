"""What of a request its view does not show, by the words of its dialect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from authz_service.model_apis.words import Words
from authz_service.view.request import Path, RequestView


def unseen(body: Any, view: RequestView, words: Words) -> list[Path]:
    """Paths of strings, foreign keys and inner numbers that the view does not show."""
    values = {field.path for field in view.texts if not field.is_key}
    named = {field.path for field in view.texts if field.is_key}

    def walk(value: Any, path: Path, key: str) -> Iterator[Path]:
        if isinstance(value, dict):
            for name, item in value.items():
                if name not in words.keys and (*path, name) not in named:
                    yield (*path, name)
                yield from walk(item, (*path, name), name)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                yield from walk(item, (*path, i), key)
        elif isinstance(value, str):
            if not (path == ("model",) or words.selects(key, value) or path in values):
                yield path
        elif not isinstance(value, bool) and value is not None and len(path) > 1 and path not in values:
            yield path

    return list(walk(body, (), ""))
