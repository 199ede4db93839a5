"""What is changed in a request's body to mask what was found in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from authz_service.framing.json_canonical import fingerprint_json
from authz_service.inspection.bodies import Body
from authz_service.inspection.found import Scanned, add_counts
from authz_service.inspection.reversible import Reversing
from authz_service.inspection.spans import SpanMerger, mask
from authz_service.masking.placeholders import TYPED
from authz_service.masking.seams import Progress
from authz_service.view.request import Path


@dataclass(slots=True)
class Edits:
    """What is to be changed in a body: texts, and the names of fields, by their paths.

    `counts` are the placeholders of each entity type; `unmaskable` is one that stands in a name.
    """

    edits: dict[Path, str | None] = field(default_factory=dict)
    keys: dict[Path, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unmaskable: str = ""

    def applied_to(self, body: Body) -> bytes:
        """The bytes of a body with all this changed."""
        return body.edited(self.edits, self.keys)

    def canonical(self, noise: Collection[tuple[str, ...]]) -> bytes:
        """What is changed in texts, in one order, without what is noise."""
        kept = [[list(path), text] for path, text in self.edits.items() if not is_below(noise, path)]
        return fingerprint_json(sorted(kept, key=_place)) if kept else b""


def mask_found(
    scanned: Sequence[Scanned], entities: frozenset[str], reversing: Reversing | None = None
) -> Edits:
    """What masks `entities` where they were found; `reversing` gives the placeholders, where it is given."""
    made = Edits()
    for s in scanned:
        text = s.field.text
        spans = SpanMerger(entities).take(Progress(s.findings, len(text), s.tails))
        if not spans:
            continue
        add_counts(made.counts, (span.entity for span in spans if span.is_new))
        if s.field.is_key:
            made.keys[s.field.path] = mask(text, spans)
            made.unmaskable = spans[0].entity
        elif reversing is not None:
            made.edits[s.field.path] = reversing.masked(s.field, spans, s.joined or {})
        else:
            made.edits[s.field.path] = mask(text, spans)
    made.counts.pop(TYPED, None)
    return made


def redacted(body: Body, found: Sequence[Scanned], entities: frozenset[str]) -> bytes:
    """A body with `entities` masked wherever they were found."""
    return mask_found(found, entities).applied_to(body)


def _place(edit: Sequence[object]) -> str:
    """No two edits have one."""
    return repr(edit[0])


def is_below(noise: Collection[tuple[str, ...]], path: Path) -> bool:
    """Whether a path is one of these, or leads to something within one."""
    return any(path[: len(ignored)] == ignored for ignored in noise)
