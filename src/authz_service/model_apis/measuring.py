"""Measures content that is no text: media are decoded strictly, everything else counts as it stands."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

import filetype  # type: ignore[import-untyped]  # has no types

from authz_service.framing.json_canonical import fingerprint_json
from authz_service.view.unread import Kind, usual_type

_DATA_URL = re.compile(
    r"data:(?P<type>[a-z0-9.+-]+/[a-z0-9.+-]+)?(?:;[a-z0-9-]+=[a-z0-9.-]+)*;base64,(?P<data>[A-Za-z0-9+/]*={0,2})",
    re.IGNORECASE | re.ASCII,
)
_SCHEME = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]{0,31}):", re.IGNORECASE | re.ASCII)
_SIGNATURE = 8192
"""Bytes from the beginning that may show what a file is."""
_LONGEST_TYPE = 100
"""Characters of a declared type that are kept."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The kind, size, digest and types of a value; see `Unread`."""

    kind: Kind
    size: int
    sha256: str
    type: str = ""
    declared: str = ""
    scheme: str = ""


def measured_medium(kind: Kind, text: str, declared: str = "") -> Measured:
    """A data URL, base64 (RFC 4648 4, with its padding and nothing else), or a URL to fetch it from.

    A URL is a REFERENCE. What is none of these, or is a data URL that is not in base64, is MALFORMED: one
    reader would take from it what another does not.
    """
    inline = _DATA_URL.fullmatch(text)
    if inline is not None:
        return _decoded(kind, text, inline["data"], inline["type"] or declared)
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _decoded(kind, text, text, declared)
    is_inline = scheme["scheme"].lower() == "data"
    return _plain(Kind.MALFORMED if is_inline else Kind.REFERENCE, text, scheme=scheme["scheme"].lower())


def measured_bytes(kind: Kind, data: bytes, declared: str = "") -> Measured:
    """A file as it is, without any encoding."""
    return Measured(
        kind, len(data), hashlib.sha256(data).hexdigest(), shown_type(data), declared[:_LONGEST_TYPE]
    )


def measured_value(kind: Kind, value: object) -> Measured:
    """A string by its bytes in UTF-8, anything else by its canonical JSON (RFC 8785)."""
    data = value.encode() if isinstance(value, str) else fingerprint_json(value)
    return Measured(kind, len(data), hashlib.sha256(data).hexdigest())


def shown_type(data: bytes) -> str:
    """The media type by the signature of the content; "" where it has none."""
    found = filetype.guess(data[:_SIGNATURE])
    return "" if found is None else usual_type(str(found.mime))


def _decoded(kind: Kind, text: str, encoded: str, declared: str) -> Measured:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return _plain(Kind.MALFORMED, text)
    # Spare bits in the last character may be anything to one reader and a fault to another.
    if not data or base64.b64encode(data[-(len(data) % 3 or 3) :]) != encoded[-4:].encode():
        return _plain(Kind.MALFORMED, text)
    return measured_bytes(kind, data, declared)


def _plain(kind: Kind, text: str, *, scheme: str = "") -> Measured:
    found = measured_value(kind, text)
    return Measured(found.kind, found.size, found.sha256, scheme=scheme)
