"""Which content types and encodings are read at all; every other body is refused unread."""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from authz_service.errors import Unreadable
from authz_service.framing.multipart import boundary_of

_PARAMETER = re.compile(r'[ \t]*([!#$%&\'*+.^_`|~\w-]+)=("?)([\w.-]+)\2[ \t]*', re.ASCII)


class RequestFormat(StrEnum):
    """How a request's body is framed."""

    JSON = "application/json"
    FORM = "multipart/form-data"


class BodyFormat(StrEnum):
    """How an answer's body is framed."""

    JSON = "application/json"
    EVENT_STREAM = "text/event-stream"
    NDJSON = "application/x-ndjson"


def check_request_encoding(
    content_type: str | None, content_encoding: str | None, expected: RequestFormat = RequestFormat.JSON
) -> None:
    """Raise `Unreadable` (415, RFC 9110 15.5.16) unless the body is JSON in UTF-8, not compressed.

    Or a form with a boundary, and no other parameter, where one is `expected`.

    The arguments are the header fields' values, None where absent, joined by commas where repeated.
    """
    if not _is_identity(content_encoding):
        raise Unreadable(
            "the body has a content-encoding; send it without one",
            code="unsupported_encoding",
            status=415,
        )
    if expected is RequestFormat.FORM:
        if boundary_of(content_type) is None:
            raise Unreadable(
                "expected the content-type multipart/form-data, with a plain boundary and nothing else",
                code="unsupported_content_type",
                status=415,
            )
    elif _format(content_type) is not BodyFormat.JSON:
        raise Unreadable(
            "expected the content-type application/json, with no charset but utf-8",
            code="unsupported_content_type",
            status=415,
        )


def answer_format(
    content_type: str | None,
    content_encoding: str | None = None,
    *,
    formats: Collection[BodyFormat] = (BodyFormat.JSON, BodyFormat.EVENT_STREAM),
) -> BodyFormat:
    """How to read an answer; raises `Unreadable` (502) for what is in none of `formats`."""
    found = _format(content_type) if _is_identity(content_encoding) else None
    if found is None or found not in formats:
        raise Unreadable(
            "the model server answered in a format or encoding that cannot be inspected",
            code="unreadable_answer",
            status=502,
        )
    return found


def _is_identity(content_encoding: str | None) -> bool:
    return content_encoding is None or content_encoding.strip(" \t").lower() in ("", "identity")


def _format(content_type: str | None) -> BodyFormat | None:
    media_type, *parameters = (content_type or "").split(";")
    if not all(_is_utf8(p) for p in parameters):
        return None
    try:
        return BodyFormat(media_type.strip(" \t").lower())
    except ValueError:
        return None


def _is_utf8(parameter: str) -> bool:
    """Charset is the one parameter that we know; another might change how the body is read."""
    if not parameter.strip(" \t"):
        return True
    match = _PARAMETER.fullmatch(parameter)
    return match is not None and match[1].lower() == "charset" and match[3].lower() == "utf-8"
