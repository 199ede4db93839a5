"""Where in a request's bytes something was found, for whoever decides about these bytes."""

from __future__ import annotations

from typing import NamedTuple

from authz_service.errors import Unreadable
from authz_service.inspection.found import found_in
from authz_service.inspection.reading import view_again
from authz_service.masking.seams import Scanner
from authz_service.view.request import Path


class Mark(NamedTuple):
    """The characters [start, end) of the text at `path` are an `entity`.

    In the name of a field, when `is_key`: the last of `path` is that name.
    """

    path: Path
    start: int
    end: int
    entity: str
    is_key: bool = False


def marks_in(api: str, operation: str, body: bytes, scanner: Scanner) -> tuple[Mark, ...]:
    """What `scanner` finds in a body, in the order of the texts; nothing where no adapter reads it."""
    try:
        view = view_again(api, operation, body)
    except Unreadable:
        return ()
    if view is None:
        return ()
    return tuple(
        Mark(found.field.path, finding.start, finding.end, finding.entity, found.field.is_key)
        for found in found_in(view, scanner)
        for finding in sorted(found.findings, key=lambda finding: (finding.start, finding.end))
    )
