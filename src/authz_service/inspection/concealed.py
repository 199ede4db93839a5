"""A held request as somebody sees it from whom some entity types are concealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.json_edit import edit_json
from authz_service.framing.json_values import count_values
from authz_service.inspection.found import Scanned, found_in
from authz_service.inspection.neighbours import rows
from authz_service.inspection.reading import read_again
from authz_service.inspection.shown import MOST_VALUES
from authz_service.inspection.spans import SpanMerger
from authz_service.masking.finding import Finding
from authz_service.masking.json_numbers import found_in_number, written_out
from authz_service.masking.placeholders import EVERYWHERE, TYPED, Placeholders, WithTyped
from authz_service.masking.seams import Progress, Scanner
from authz_service.view.exact import Number, exact_json, values_of
from authz_service.view.request import Path, RequestView, TextKind
from authz_service.view.unread import Unread

UNREAD: Final = "CONTENT"
"""What stands for content that nothing was looked for in: `<CONTENT_1>`."""


class Hidden(NamedTuple):
    """Characters [start, end) of a text are concealed: `name` is shown instead, in quotes where `bare`."""

    start: int
    end: int
    entity: str
    name: str
    bare: bool = False

    @property
    def shown(self) -> str:
        """What stands in the text."""
        return f'"{self.name}"' if self.bare else self.name


@dataclass(frozen=True, slots=True)
class ConcealedText:
    """A text of which `hidden` is not shown. `is_fixed`: no part of it can be edited.

    That is so where what is concealed may be more than its own characters: it goes on in another text, or
    stands in a document, or is a number. And where detectors read it joined with another that has something
    concealed: what is written at its end would stand beside that.
    """

    text: str = field(repr=False)
    hidden: tuple[Hidden, ...]
    is_fixed: bool = False

    @property
    def shown(self) -> str:
        """The text as it is shown."""
        first, *pieces = self.between
        after = (hidden.shown + piece for hidden, piece in zip(self.hidden, pieces, strict=True))
        return first + "".join(after)

    @property
    def between(self) -> tuple[str, ...]:
        """What is shown of it: before, between and after what is hidden."""
        starts = [*(hidden.start for hidden in self.hidden), len(self.text)]
        ends = [0, *(hidden.end for hidden in self.hidden)]
        return tuple(self.text[end:start] for end, start in zip(ends, starts, strict=True))

    @property
    def values(self) -> tuple[tuple[str, str], ...]:
        """What is hidden in it, in order."""
        return tuple((hidden.entity, self.text[hidden.start : hidden.end]) for hidden in self.hidden)


@dataclass(frozen=True, slots=True)
class ConcealedRequest:
    """`shown` instead of the bytes that wait. `counts` are the placeholders of each entity type in it.

    `contents` are the places of what was not read: a placeholder stands there, or null. `beside` are the
    other parts of messages that have something concealed in one part: detectors read them joined.
    """

    shown: bytes
    counts: Mapping[str, int]
    labels: frozenset[str]
    texts: Mapping[Path, ConcealedText] = field(repr=False)
    beside: Mapping[Path, str] = field(repr=False)
    contents: frozenset[Path] = frozenset()
    unread: tuple[Unread, ...] = ()

    @property
    def values(self) -> Mapping[Path, tuple[tuple[str, str], ...]]:
        """What is concealed in each text."""
        return {path: text.values for path, text in self.texts.items()}


def concealed_request(
    api: str, operation: str, body: bytes, scanner: Scanner, entities: frozenset[str]
) -> ConcealedRequest:
    """`body` without the values of `entities`; the same value has the same placeholder.

    Raises `Unreadable` (`not_concealable`) where it cannot be told beyond doubt that none of them is shown:
    for a form, what is no request of that API (any more), `MOST_VALUES` or more of values, and a value in
    the name of a field, or in a field that no detector reads. What detectors raise goes on. No message has
    a word of the body.
    """
    if count_values(body, MOST_VALUES) == MOST_VALUES:
        raise refused(f"it has {MOST_VALUES:,} values or more, lists of numbers among them")
    read = read_again(api, operation, body)
    if read is None or read.operation.takes is not RequestFormat.JSON:
        raise refused("only requests in JSON are read for it")
    view = read.view
    contents = _outermost(frozenset(unread.path for unread in view.unread))
    if () in contents:
        raise refused("this gateway cannot read it")
    look = _Only(scanner, entities).scan
    if any(look(step) for unread in view.unread for step in unread.path if isinstance(step, str)):
        raise refused("it has such a value in the name of a field")
    is_content = _within(contents)
    names = Placeholders(dict.fromkeys((*entities, UNREAD), EVERYWHERE))
    labels = frozenset((*entities, UNREAD))
    searched = WithTyped(_Only(scanner, entities), labels)
    texts: dict[Path, ConcealedText] = {}
    for found in found_in(view, searched):
        if is_content(found.field.path):
            continue
        made = _concealed(found, entities, names)
        if made is None:
            continue
        if found.field.is_key:
            raise refused("it has such a value in the name of a field")
        texts[found.field.path] = made
    document = exact_json(body)
    _require_read(document, {t.path for t in view.texts if not t.is_key}, contents, _Only(scanner, entities))
    beside, fixed = _beside(view, texts)
    texts |= {path: replace(texts[path], is_fixed=True) for path in fixed}
    edits: dict[Path, str | None] = {}
    for path, text in texts.items():
        edits[path] = text.hidden[0].name if isinstance(at(document, path), Number) else text.shown
    for index, path in enumerate(sorted(contents, key=repr)):
        has_words = isinstance(at(document, path), str | Number)
        edits[path] = names.name(UNREAD, str(index)) if has_words else None
    shown = edit_json(body, edits) if edits else body
    counts = _counts(texts, len(contents))
    unread = tuple(_untold(value, scanner, entities) for value in view.unread)
    return ConcealedRequest(shown, counts, labels, texts, beside, contents, unread)


def refused(why: str) -> Unreadable:
    """That something cannot be shown, since nobody could say that nothing of it is concealed."""
    message = (
        f"what is concealed from you cannot be told from the rest of this hold ({why}), so nothing of it is "
        "shown; whoever `review.conceal` exempts can look at it"
    )
    return Unreadable(message, code="not_concealable")


def at(document: Any, path: Path) -> Any:
    """The value at a path of a document that has it."""
    for step in path:
        document = document[step]
    return document


class _Only:
    """A scanner that finds some entity types."""

    def __init__(self, scanner: Scanner, entities: frozenset[str]) -> None:
        self.entities = entities
        self.incremental = scanner.incremental
        self._scanner = scanner

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        found = self._scanner.scan(text, embedded_json=embedded_json)
        return tuple(finding for finding in found if finding.entity in self.entities)

    def found_in(self, said: str | Number) -> tuple[Finding, ...]:
        """What is found in a string, or in any reading of a number."""
        return (
            self.scan(said) if isinstance(said, str) else found_in_number(written_out(said.token), self.scan)
        )


def _concealed(found: Scanned, entities: frozenset[str], names: Placeholders) -> ConcealedText | None:
    said, text = found.field, found.field.text
    spans = SpanMerger(entities | {TYPED}).take(Progress(found.findings, len(text), found.tails))
    if not spans:
        return None
    if said.is_number:
        name = names.name(spans[0].entity, text)
        return ConcealedText(text, (Hidden(0, len(text), spans[0].entity, name),), is_fixed=True)
    hidden: list[Hidden] = []
    for span in spans:
        if hidden and not span.is_new and span.start <= hidden[-1].end:  # it goes on
            last = hidden.pop()
            name = names.name(last.entity, text[last.start : span.end])
            hidden.append(last._replace(end=span.end, name=name))
            continue
        value = (found.joined or {}).get(span.start) or text[span.start : span.end]
        hidden.append(Hidden(span.start, span.end, span.entity, names.name(span.entity, value), span.bare))
    is_fixed = said.kind is not TextKind.PLAIN or bool(found.tails) or bool(found.joined)
    return ConcealedText(text, tuple(hidden), is_fixed)


def _require_read(document: object, texts: set[Path], contents: frozenset[Path], scanner: _Only) -> None:
    """Look at what the model API has as no text: identifiers, names of fields, numbers."""
    clean: set[str | Number] = set()

    def look(said: str | Number) -> None:
        if said not in clean and scanner.found_in(said):
            raise refused("it has such a value in a field that is no text")
        clean.add(said)

    for path, value in values_of(document, but=contents):
        if path and isinstance(path[-1], str):
            look(path[-1])
        if isinstance(value, str | Number) and path not in texts:
            look(value)


def _outermost(paths: frozenset[Path]) -> frozenset[Path]:
    """Those that stand in no other."""
    is_within = _within(paths)
    return frozenset(path for path in paths if not (path and is_within(path[:-1])))


def _within(places: frozenset[Path]) -> Callable[[Path], bool]:
    """Whether a path is one of these, or leads to something within one."""
    lengths = sorted({*map(len, places)})
    return lambda path: any(path[:length] in places for length in lengths)


def _beside(view: RequestView, concealed: Iterable[Path]) -> tuple[dict[Path, str], set[Path]]:
    """What else is in the rows that have something concealed, and what is of rows that have it twice."""
    hidden = frozenset(concealed)
    beside: dict[Path, str] = {}
    fixed: set[Path] = set()
    for row in rows(view.texts, view.in_parts):
        parts = [view.texts[i] for i in row]
        ours = {part.path for part in parts if part.path in hidden}
        if ours:
            beside |= {part.path: part.text for part in parts if part.path not in hidden}
        if len(ours) > 1:
            fixed |= ours
    return beside, fixed


def _counts(texts: Mapping[Path, ConcealedText], contents: int) -> dict[str, int]:
    counts: dict[str, int] = {UNREAD: contents} if contents else {}
    for text in texts.values():
        for hidden in text.hidden:
            label = hidden.name[1:].rpartition("_")[0]
            counts[label] = counts.get(label, 0) + 1
    return counts


def _untold(value: Unread, scanner: Scanner, entities: frozenset[str]) -> Unread:
    """Without its digest, by which its content could be guessed, and without words of the caller's."""
    look: Callable[[str], Any] = _Only(scanner, entities).scan
    declared, scheme = ("" if look(said) else said for said in (value.declared, value.scheme))
    return replace(value, declared=declared, scheme=scheme, sha256="")
