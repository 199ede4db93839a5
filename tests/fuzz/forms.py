"""What must hold of forms for any bytes: a mail reader takes an accepted one apart alike, and edits hold."""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesParser

from authz_service.errors import Unreadable
from authz_service.framing.multipart import Form, edit_form, read_form

BOUNDARY = "cut"
_TYPE = b"Content-Type: multipart/form-data; boundary=cut\r\n\r\n"
_NO_LETTER = re.compile("[^a-z0-9]", re.IGNORECASE | re.ASCII)
_WRITTEN = "[X]"

Part = tuple[str, str | None, bytes]


def form(data: bytes) -> None:
    """Refused, or the same fields to us and to a reader of mail, before and after an edit of each."""
    try:
        read = read_form(data, BOUNDARY)
    except Unreadable:
        return
    assert [_in_ascii(part) for part in _parts(read)] == [_in_ascii(part) for part in _as_mail(data)]
    assert edit_form(data, read, {}) == data
    for i, part in enumerate(read.parts):
        if part.filename is None and not part.name.endswith("[]"):
            again = read_form(edit_form(data, read, {(part.name,): _WRITTEN}), BOUNDARY)
            expected = _parts(read)
            expected[i] = (part.name, None, _WRITTEN.encode())
            assert _parts(again) == expected


def _parts(read: Form) -> list[Part]:
    return [(part.name, part.filename, part.data) for part in read.parts]


def _in_ascii(part: Part) -> Part:
    """What both have of a filename: mail knows no other letters, and takes spaces off its ends."""
    name, filename, data = part
    return name, filename and _NO_LETTER.sub("", filename), data


def _as_mail(data: bytes) -> list[Part]:
    """The parts as Python's reader of mail has them, which shares nothing with ours."""
    message = BytesParser().parsebytes(_TYPE + data)
    payload = message.get_payload()
    assert isinstance(payload, list), "a reader of mail finds no parts"
    return [_as_part(part) for part in payload if isinstance(part, Message)]


def _as_part(part: Message) -> Part:
    said = part.get_payload(decode=True)
    assert isinstance(said, bytes)
    name = part.get_param("name", header="content-disposition")
    return str(name), part.get_filename(), said
