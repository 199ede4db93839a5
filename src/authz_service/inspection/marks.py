"""Where in a request's bytes something was found, for whoever decides about these bytes."""

from __future__ import annotations

from typing import NamedTuple

from authz_service.inspection.found import found_in
from authz_service.masking.seams import Scanner
from authz_service.view.request import Path, RequestView


class Mark(NamedTuple):
    """The characters [start, end) of the text at `path` are an `entity`.

    In the name of a field, when `is_key`: the last of `path` is that name.
    """

    path: Path
    start: int
    end: int
    entity: str
    is_key: bool = False


def marks_in(view: RequestView, scanner: Scanner) -> tuple[Mark, ...]:
    """What `scanner` finds in a request, in the order of the texts."""
    return tuple(
        Mark(found.field.path, finding.start, finding.end, finding.entity, found.field.is_key)
        for found in found_in(view, scanner)
        for finding in sorted(found.findings, key=lambda finding: (finding.start, finding.end))
    )
