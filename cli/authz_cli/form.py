"""A form (RFC 7578) as the document that the service lays out: its fields, and what stands for files."""

from __future__ import annotations

import hashlib
import re

from authz_cli.outline import Json, Number

_NAMED = re.compile(
    r'content-disposition:[ \t]*form-data; *name="([^"]*)"(?:; *filename="([^"]*)")?', re.IGNORECASE
)
_TYPED = re.compile(r"content-type:[ \t]*(.*)", re.IGNORECASE)


def parse_form(body: bytes) -> dict[str, Json] | None:
    """The fields by name, a list of those with a name that ends with `[]`; None for what is no form.

    Of a file its name, its type, and the size and SHA-256 of its bytes.
    """
    boundary = body.partition(b"\r\n")[0]
    begin, *pieces, end = (b"\r\n" + body).split(b"\r\n" + boundary)
    if not boundary.startswith(b"--") or begin or end not in (b"--", b"--\r\n"):
        return None
    fields: dict[str, Json] = {}
    for piece in pieces:
        try:
            name, value = _part(piece)
        except ValueError:
            return None
        several = fields.setdefault(name, []) if name.endswith("[]") else None
        if isinstance(several, list):
            several.append(value)
        elif name in fields:
            return None
        else:
            fields[name] = value
    return fields


def _part(piece: bytes) -> tuple[str, Json]:
    """Its name and its value; raises `ValueError` for what cannot be read."""
    head, blank, data = piece.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    named = [found for line in lines if (found := _NAMED.fullmatch(line))]
    typed = [found[1] for line in lines if (found := _TYPED.fullmatch(line))]
    if not blank or len(named) != 1 or len(typed) > 1:
        raise ValueError("a part of the form is not named in the plain way")
    name, filename = named[0].groups()
    if filename is None:
        return name, data.decode()
    digest = hashlib.sha256(data).hexdigest()
    size = Number(str(len(data)))
    return name, {"filename": filename, "content_type": "".join(typed), "size": size, "sha256": digest}
