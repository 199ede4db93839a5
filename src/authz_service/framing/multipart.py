"""Reads multipart/form-data (RFC 7578) so strictly that no two readers could take it apart differently.

A body is taken apart twice, by a parser in its strict mode and by the plain form that every client sends:
where the two differ, or anything is there that only one of them knows of, the body is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NoReturn

from multipart import (  # type: ignore[import-untyped]  # it has annotations, and no marker that says so
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
)

from authz_service.errors import Unreadable

MOST_PARTS = 64
LONGEST_HEAD = 2048
"""Bytes of the header lines of one part."""

_CONTENT_TYPE = re.compile(
    r'multipart/form-data[ \t]*;[ \t]*boundary=("?)(?P<boundary>[A-Za-z0-9_.\'()+=-]{1,70})\1[ \t]*',
    re.IGNORECASE | re.ASCII,
)
_HEADER = re.compile(r"(?P<name>[A-Za-z-]+):[ \t]*(?P<value>[^\0-\x1f\x7f]*)")
_DISPOSITION = re.compile(
    r'form-data; *name="(?P<name>[A-Za-z0-9_.\[\]-]{1,64})"'
    r'(?:; *filename="(?P<filename>[^"\\%\0-\x1f\x7f]*)")?',
    re.IGNORECASE,
)
_MEDIA_TYPE = re.compile(
    r"(?!multipart/|message/)[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+(?:; *[a-z0-9-]+=[a-z0-9_.+-]+)*",
    re.IGNORECASE | re.ASCII,
)
_TEXT = re.compile(r'text/plain(; *charset="?utf-8"?)?', re.IGNORECASE | re.ASCII)
_CHARSET = "_charset_"
"""A field by which some readers decode all others (RFC 7578 4.6): ours would have judged other words."""
_FILENAME = b'filename="'
_KNOWN = frozenset({"content-disposition", "content-type", "content-length"})


@dataclass(frozen=True, slots=True)
class FormPart:
    """One part. `filename` is None for a field, whose data is text in UTF-8.

    `start` and `end` say where its data stands in the body, `named` where its filename does.
    """

    name: str
    data: bytes
    filename: str | None
    content_type: str
    start: int
    end: int
    named: int = -1

    @property
    def text(self) -> str:
        """The value of a field."""
        return self.data.decode()

    @property
    def said(self) -> str:
        """The value of a field, or the digest of a file."""
        return self.text if self.filename is None else _digest(self.data)


@dataclass(frozen=True, slots=True)
class Form:
    """The parts of a body, in their order."""

    boundary: str
    parts: tuple[FormPart, ...]

    def canonical(self, cleared: Collection[tuple[str | int, ...]] = frozenset()) -> list[list[str | None]]:
        """What makes two forms the same, whatever their boundary: files by their digest.

        Fields at the paths of `cleared` (see `edit_form`) count as empty.
        """
        return [
            [p.name, p.filename, p.content_type, "" if path in cleared else p.said]
            for p, path in zip(self.parts, _paths(self), strict=True)
        ]


def boundary_of(content_type: str | None) -> str | None:
    """The boundary that a content-type names; None for any other, or with any other parameter."""
    found = _CONTENT_TYPE.fullmatch((content_type or "").strip(" \t"))
    return None if found is None else found["boundary"]


def without_boundary(content_type: str) -> str:
    """What a content-type says beside the boundary of a form, which clients make up and no model reads."""
    found = _CONTENT_TYPE.fullmatch(content_type.strip(" \t"))
    return content_type if found is None else "multipart/form-data"


def form_of(body: bytes, content_type: str | None) -> Form:
    """The form in `body`, by the boundary that its content-type names; raises `Unreadable`."""
    boundary = boundary_of(content_type)
    if boundary is None:
        _refuse("its content-type names no boundary")
    return read_form(body, boundary)


def boundary_in(body: bytes) -> str:
    """The boundary of a body that was read before: its first line."""
    return body.partition(b"\r\n")[0].removeprefix(b"--").decode("latin-1")


def read_form(body: bytes, boundary: str) -> Form:
    """The parts of `body`; raises `Unreadable` with the code `invalid_form`, and never quotes the body.

    Refused are: anything before the first boundary or after the last, a boundary anywhere else, folded,
    repeated or unknown header lines, encodings, charsets but UTF-8, a field `_charset_`, parts within
    parts, and names that need quoting. A name may come twice only when it ends with `[]`.
    """
    parts = tuple(_plain(body, boundary))
    if [(p.name, p.filename, p.data) for p in parts] != _parsed(body, boundary):
        _refuse("two readers take it apart differently")
    names = [part.name for part in parts if not part.name.endswith("[]")]
    if len(set(names)) != len(names):
        _refuse("a field is there twice")
    if any(name.casefold() == _CHARSET for name in names):
        _refuse("a field says how the others are to be decoded")
    return Form(boundary, parts)


def edit_form(body: bytes, form: Form, edits: Mapping[tuple[str | int, ...], str]) -> bytes:
    """The body with the values of some fields replaced, and every other byte as it was.

    A path is the name of a field, with its position among those of that name where it ends with `[]`, or
    the name of a file and "filename". Raises `LookupError` for one that is not there.
    """
    places = _places(form)
    pieces: list[bytes] = []
    copied = 0
    for (start, end), text in sorted((places[path], text) for path, text in edits.items()):
        is_name = body[start - 1 : start] == b'"'
        if f"--{form.boundary}" in text or (is_name and re.search(r'["\\%\0-\x1f\x7f]', text)):
            raise Unreadable("what would be put into the form cannot stand there", code="unmaskable")
        pieces += (body[copied:start], text.encode())
        copied = end
    return b"".join([*pieces, body[copied:]])


def _places(form: Form) -> dict[tuple[str | int, ...], tuple[int, int]]:
    places: dict[tuple[str | int, ...], tuple[int, int]] = {}
    for part, path in zip(form.parts, _paths(form), strict=True):
        if part.filename is not None:
            places[part.name, "filename"] = (part.named, part.named + len(part.filename.encode()))
        else:
            places[path] = (part.start, part.end)
    return places


def _paths(form: Form) -> list[tuple[str | int, ...]]:
    """Where the value of each part stands, in their order."""
    paths: list[tuple[str | int, ...]] = []
    counts: dict[str, int] = {}
    for part in form.parts:
        if part.filename is None and part.name.endswith("[]"):
            counts[part.name] = counts.get(part.name, -1) + 1
            paths.append((part.name, counts[part.name]))
        else:
            paths.append((part.name,))
    return paths


def _plain(body: bytes, boundary: str) -> list[FormPart]:
    delimiter = f"--{boundary}".encode()
    begin, between = delimiter + b"\r\n", b"\r\n" + delimiter + b"\r\n"
    body_end = len(body.removesuffix(b"\r\n")) if body.endswith(b"--\r\n") else len(body)
    end = body_end - len(delimiter) - 4
    if end < len(begin) or not body.startswith(begin) or body[end:body_end] != b"\r\n" + delimiter + b"--":
        _refuse("it does not begin and end with its boundary")
    pieces = body[len(begin) : end].split(between)
    if len(pieces) > MOST_PARTS or body.count(delimiter) != len(pieces) + 1:
        _refuse(f"it has more than {MOST_PARTS} parts, or its boundary where none belongs")
    parts, at = [], len(begin)
    for piece in pieces:
        parts.append(_part(piece, at))
        at += len(piece) + len(between)
    return parts


def _part(piece: bytes, at: int) -> FormPart:
    head, blank, data = piece.partition(b"\r\n\r\n")
    if not blank or len(head) > LONGEST_HEAD:
        _refuse("a part has no end of its headers, or too many of them")
    headers = _headers(head)
    disposition = _DISPOSITION.fullmatch(headers.get("content-disposition", ""))
    if disposition is None:
        _refuse("a part is not named in the plain way")
    filename, content_type = disposition["filename"], headers.get("content-type", "")
    if content_type and not (_TEXT if filename is None else _MEDIA_TYPE).fullmatch(content_type):
        _refuse("a part has a content-type that cannot be read here")
    if headers.get("content-length", str(len(data))) != str(len(data)):
        _refuse("a part has another length than it says")
    if filename is None and not _is_utf8(data):
        _refuse("a field is not UTF-8")
    named = -1 if filename is None else at + head.lower().index(_FILENAME) + len(_FILENAME)
    start = at + len(head) + len(blank)
    return FormPart(disposition["name"], data, filename, content_type, start, start + len(data), named)


def _headers(head: bytes) -> dict[str, str]:
    if not _is_utf8(head):
        _refuse("a header of a part is not UTF-8")
    headers: dict[str, str] = {}
    for line in head.decode().split("\r\n"):
        header = _HEADER.fullmatch(line)
        name = "" if header is None else header["name"].lower()
        if header is None or name not in _KNOWN or name in headers:
            _refuse("a part has a header that cannot be read here")
        headers[name] = header["value"]
    return headers


def _parsed(body: bytes, boundary: str) -> list[tuple[str, str | None, bytes]]:
    """The same by the parser."""
    parts: list[tuple[str, str | None, bytes]] = []
    segment: MultipartSegment | None = None
    data: list[bytes] = []
    try:
        with PushMultipartParser(boundary, content_length=len(body), strict=True) as parser:
            for event in parser.parse(body):
                if isinstance(event, MultipartSegment):
                    segment, data = event, []
                elif event is not None:
                    data.append(bytes(event))
                elif segment is not None:
                    parts.append((segment.name or "", segment.filename, b"".join(data)))
    except MultipartError:
        _refuse("it is no multipart/form-data")
    return parts


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _refuse(why: str) -> NoReturn:
    raise Unreadable(f"the form cannot be read: {why}", code="invalid_form") from None
