"""Inspects a request body: what it asks, what was found in it, and the bytes that may go on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from operator import eq

from authz_service.errors import Unreadable
from authz_service.framing.json_canonical import fingerprint_json
from authz_service.inspection.bodies import Body, read_body
from authz_service.inspection.neighbours import findings_across
from authz_service.inspection.results import RequestInspection
from authz_service.inspection.reversible import Reversing, numbering_order
from authz_service.inspection.spans import SpanMerger, mask
from authz_service.masking.finding import Finding
from authz_service.masking.json_numbers import found_in_number
from authz_service.masking.operators import Masks
from authz_service.masking.placeholders import TYPED, WithTyped
from authz_service.masking.seams import Progress, Scanner
from authz_service.model_apis.base import ModelApi, Operation
from authz_service.view.request import Path, RequestView, TextField, TextKind

_SHORT = 100
"""Characters."""


def inspect_request(
    body: bytes,
    *,
    api: ModelApi,
    operation: Operation,
    scanner: Scanner,
    masked_entities: frozenset[str],
    models: Mapping[str, str],
    noise: Collection[tuple[str, ...]],
    max_depth: int,
    head: Callable[[str], bytes] | None = None,
    content_type: str | None = None,
) -> RequestInspection:
    """Read a whole body, look for findings in every text of it, and mask `masked_entities`.

    `models` leads from each name and alias to the model's name. `head` gives, for that name, what else
    makes two requests the same; it stands before the body in the fingerprint. `content_type` is the
    request's, which a form needs.

    Raises `Unreadable`: what `read_body` and the adapter refuse, `model_not_found` (404),
    `model_not_named` where the dialect names none and there are several, and `unmaskable` for a finding
    that would have to be masked in an object's key. The message never quotes the body.
    """
    read = read_body(body, operation.takes, content_type=content_type, max_depth=max_depth)
    view = api.read_request(operation, read.document)
    model = _model(view.model, models)
    ignored = [
        path for path in noise if path and path[0] in api.noise_roots and not _holds_unread(path, view)
    ]
    reversing: Reversing | None = None
    if isinstance(masked_entities, Masks) and masked_entities.reversible:
        reversing = Reversing(masked_entities, scanner, partial(_is_below, ignored))
        found = found_in(view, reversing.scanner)
        is_later = numbering_order(view)
        forward = _masked(sorted(found, key=lambda s: is_later(s.field.path)), reversing.masks, reversing)
    else:
        found = found_in(view, scanner)
        forward = _masked(found, masked_entities)
    named = forward
    if not (forward.keys or read.can_rename):
        named = _masked(found, scanner.entities)  # the record masks them all
    if named.keys:
        raise Unreadable(
            f"{named.unmaskable} was found in the name of a field, where it cannot be masked",
            code="unmaskable",
        )
    if view.model and view.model != model:
        forward.edits[_place_of_model(api, operation)] = model
    if view.model != model:
        view = replace(view, model=model)
    return RequestInspection(
        operation,
        view,
        _count(found),
        forward.counts,
        _edited(read, forward),
        partial(_redacted, read, found, scanner.entities) if found else body,
        partial(_fingerprint, read, ignored, head, model),
        partial(_changes, forward, ignored) if forward.edits else b"",
        reversing.placeholders if reversing is not None and reversing.placeholders.by_name else None,
    )


def _holds_unread(path: tuple[str, ...], view: RequestView) -> bool:
    """Whether something unread stands there, or around it: nobody has looked at it, so it is never noise."""
    return any(all(map(eq, unread.path, path)) for unread in view.unread)


def _is_below(noise: Collection[tuple[str, ...]], path: Path) -> bool:
    return any(path[: len(ignored)] == ignored for ignored in noise)


def _model(named: str, models: Mapping[str, str]) -> str:
    """The model's own name, for the name or alias that a request gives; the only one, for none."""
    if named:
        model = models.get(named)
        if model is None:
            raise Unreadable(
                "The model that was asked for does not exist or you do not have access to it. "
                "GET /v1/models lists those that there are.",
                code="model_not_found",
                status=404,
            )
        return model
    only = set(models.values())
    if len(only) != 1:
        raise Unreadable(
            "This API names no model, and there is more than one here to choose from.", code="model_not_named"
        )
    return only.pop()


def _place_of_model(api: ModelApi, operation: Operation) -> Path:
    path = api.model_path(operation)
    if path is None:
        raise Unreadable(
            "The model was asked for by an alias, which cannot be replaced in a path; use its own name.",
            code="model_not_found",
            status=404,
        )
    return path


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found in one text; indexes in `tails` go on with what began in a neighbour.

    `joined` are the values that go on in a neighbour, by their start.
    """

    field: TextField
    findings: tuple[Finding, ...]
    tails: frozenset[int] = frozenset()
    joined: Mapping[int, str] | None = None


def found_in(view: RequestView, scanner: Scanner | WithTyped) -> list[Scanned]:
    """The texts in which something was found."""
    scan = _once(scanner)
    across = findings_across(view.texts, scan, view.in_parts)
    scanned: list[Scanned] = []
    for i, text in enumerate(view.texts):
        if text.kind is TextKind.JSON:
            findings = scanner.scan(text.text, embedded_json=True)
        elif text.is_number:
            findings = found_in_number(text.text, scan)
        else:
            findings = scan(text.text)
        if i in across:
            extra = [f for f in across[i] if f.finding not in findings or f.is_tail]
            tails = frozenset(len(findings) + n for n, f in enumerate(extra) if f.is_tail)
            joined = {f.finding.start: f.written for f in across[i] if not f.is_tail}
            scanned.append(Scanned(text, (*findings, *(f.finding for f in extra)), tails, joined))
        elif findings:
            scanned.append(Scanned(text, findings))
    return scanned


def _once(scanner: Scanner | WithTyped) -> Callable[[str], tuple[Finding, ...]]:
    """Scans of plain texts; short ones come again within a request (the words of schemas), and are kept."""
    known: dict[str, tuple[Finding, ...]] = {}

    def scan(text: str) -> tuple[Finding, ...]:
        if len(text) > _SHORT:
            return scanner.scan(text)
        found = known.get(text)
        if found is None:
            found = known[text] = scanner.scan(text)
        return found

    return scan


def _count(scanned: Sequence[Scanned]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for s in scanned:
        _add(counts, (f.entity for i, f in enumerate(s.findings) if i not in s.tails))
    counts.pop(TYPED, None)
    return counts


def _add(counts: dict[str, int], entities: Iterable[str]) -> None:
    for entity in entities:
        counts[entity] = counts.get(entity, 0) + 1


@dataclass(slots=True)
class _Edits:
    """What is to be changed in a body. `unmaskable` is an entity that stands in a key."""

    edits: dict[Path, str | None] = field(default_factory=dict)
    keys: dict[Path, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    unmaskable: str = ""


def _edited(body: Body, made: _Edits) -> bytes:
    return body.edited(made.edits, made.keys)


def _masked(
    scanned: Sequence[Scanned], entities: frozenset[str], reversing: Reversing | None = None
) -> _Edits:
    made = _Edits()
    for s in scanned:
        text = s.field.text
        spans = SpanMerger(entities).take(Progress(s.findings, len(text), s.tails))
        if not spans:
            continue
        _add(made.counts, (span.entity for span in spans if span.is_new))
        if s.field.is_key:
            made.keys[s.field.path] = mask(text, spans)
            made.unmaskable = spans[0].entity
        elif reversing is not None:
            made.edits[s.field.path] = reversing.masked(s.field, spans, s.joined or {})
        else:
            made.edits[s.field.path] = mask(text, spans)
    made.counts.pop(TYPED, None)
    return made


def _redacted(body: Body, found: Sequence[Scanned], entities: frozenset[str]) -> bytes:
    return _edited(body, _masked(found, entities))


def _fingerprint(
    read: Body,
    noise: Collection[tuple[str, ...]],
    head: Callable[[str], bytes] | None,
    model: str,
    cleared: Collection[Path],
) -> bytes:
    body = read.canonical(noise, cleared)
    return body if head is None else head(model) + body


def _changes(made: _Edits, noise: Collection[tuple[str, ...]]) -> bytes:
    """What was edited, in one order, without what is noise."""
    kept = [[list(path), text] for path, text in made.edits.items() if not _is_below(noise, path)]
    return fingerprint_json(sorted(kept, key=_place)) if kept else b""


def _place(edit: Sequence[object]) -> str:
    """No two edits have one."""
    return repr(edit[0])
