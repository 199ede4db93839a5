"""A request's body as it is read, edited and known again, whatever its format."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from authz_service.framing.encoding import RequestFormat
from authz_service.framing.json_canonical import fingerprint_json
from authz_service.framing.json_document import read_json
from authz_service.framing.json_edit import edit_json
from authz_service.framing.multipart import Form, edit_form, form_of
from authz_service.view.request import Path


class Body(Protocol):
    """A body that was read. Its `document` is what an adapter takes."""

    @property
    def document(self) -> object:
        """What the bytes say."""
        ...

    @property
    def can_rename(self) -> bool:
        """Whether the name of a field can be edited."""
        ...

    def edited(self, edits: Mapping[Path, str | None], keys: Mapping[Path, str]) -> bytes:
        """The bytes with some values and names replaced, and every other byte as it was."""
        ...

    def canonical(self, noise: Collection[tuple[str, ...]], cleared: Collection[Path] = frozenset()) -> bytes:
        """What makes two bodies the same, without the members at `noise`, the texts at `cleared` empty."""
        ...


@dataclass(frozen=True, slots=True)
class JsonBody:
    """A JSON document."""

    data: bytes
    document: object
    can_rename: bool = True

    def edited(self, edits: Mapping[Path, str | None], keys: Mapping[Path, str]) -> bytes:
        """See `edit_json`."""
        return edit_json(self.data, edits, keys) if edits or keys else self.data

    def canonical(self, noise: Collection[tuple[str, ...]], cleared: Collection[Path] = frozenset()) -> bytes:
        """RFC 8785's form."""
        return fingerprint_json(_cleared(self.document, list(cleared)) if cleared else self.document, noise)


@dataclass(frozen=True, slots=True)
class FormBody:
    """A form, in which nothing is noise, and no field can be renamed."""

    data: bytes
    document: Form
    can_rename: bool = False

    def edited(self, edits: Mapping[Path, str | None], keys: Mapping[Path, str]) -> bytes:
        """See `edit_form`."""
        if keys or None in edits.values():
            raise LookupError("a form's fields cannot be renamed or cleared")
        return edit_form(self.data, self.document, {path: text or "" for path, text in edits.items()})

    def canonical(self, noise: Collection[tuple[str, ...]], cleared: Collection[Path] = frozenset()) -> bytes:
        """Its parts in order, files by their digest."""
        return fingerprint_json(self.document.canonical(cleared))


def read_body(data: bytes, expected: RequestFormat, *, content_type: str | None, max_depth: int) -> Body:
    """Read `data`, strictly; raises `Unreadable`. `content_type` counts for forms, whose boundary it has."""
    match expected:
        case RequestFormat.JSON:
            return JsonBody(data, read_json(data, max_depth=max_depth))
        case RequestFormat.FORM:
            return FormBody(data, form_of(data, content_type))
        case _ as never:
            assert_never(never)


def _cleared(value: Any, paths: Sequence[Path]) -> Any:
    """`value` with the texts at these paths empty; what leads there is copied, and nothing else."""
    below: dict[str | int, list[Path]] = {}
    for path in paths:
        if not path:
            return ""
        below.setdefault(path[0], []).append(path[1:])
    copied: Any = dict(value) if isinstance(value, dict) else list(value)
    for step, rest in below.items():
        copied[step] = _cleared(copied[step], rest)
    return copied
