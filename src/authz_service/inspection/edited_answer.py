"""A model's answer that a reviewer edits: its texts by name, and the answer with others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from authz_service.errors import Unreadable
from authz_service.framing.json_document import read_json
from authz_service.framing.json_edit import edit_json
from authz_service.inspection.answer import frames_pipe
from authz_service.inspection.echoes import echoed, outermost
from authz_service.inspection.edited import require_placeholders
from authz_service.inspection.found import Search
from authz_service.inspection.results import AnswerStep
from authz_service.inspection.spans import Cut
from authz_service.masking.finding import Finding
from authz_service.model_apis.base import AnswerReader, ModelApi
from authz_service.view.answer import AnswerField
from authz_service.view.request import Path, RequestView, TextKind

_WORDS = frozenset(
    (
        *("content", "text", "delta", "refusal", "reasoning_content", "reasoning", "thinking"),
        *("arguments", "input", "partial_json", "response", "generated_text", "code"),
        *("text_output", "data", "title", "url"),
    )
)
"""What the words of a model are called, in all APIs. Names, ids and whatever else is said stay."""


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """All of an answer to `request`, as it would go to the caller."""

    api: ModelApi
    request: RequestView
    content_type: str
    body: bytes
    max_depth: int

    def texts(self) -> dict[str, str]:
        """What may be edited, in order, by name: `choices/0/content`; raises `Unreadable`."""
        return self._read({}).editable()

    def told(self, scanner: Search) -> tuple[dict[str, str], list[FoundText]]:
        """`texts()`, and the texts in which `scanner` finds something, editable or not; read once."""
        read = self._read({})
        return read.editable(), list(read.found(scanner))

    def beside(self, other: WholeAnswer) -> set[str]:
        """The names of texts that are read joined with others, where `other` has one of these otherwise."""
        ours, theirs = self._read({}), other._read({})
        return {
            name
            for names in ours.channels.values()
            if len(names) > 1 and any(ours.tellings(name) != theirs.tellings(name) for name in names)
            for name in names
        }

    def edited(self, texts: Mapping[str, str], entities: frozenset[str]) -> bytes:
        """The answer with `texts` in the place of its own of those names; all other bytes stay.

        A text that came in pieces is in the first of them then, and the others are empty. Raises
        `Unreadable`: `edit_unknown_text` for a name that is none of `texts()`, `edit_masked` as for
        requests, `edit_unreadable` where arguments are no JSON any more, `edit_unsupported` where what is
        taken out is said in another place as well, `nothing_edited`.
        """
        read = self._read({})
        before = read.editable()
        for name in texts.keys() - before.keys():
            message = f"the answer has no text {name[:100]!r} that can be edited"
            raise Unreadable(message, code="edit_unknown_text")
        new = {name: text for name, text in texts.items() if text != before[name]}
        if not new:
            raise Unreadable("nothing was edited", code="nothing_edited")
        require_placeholders(before.values(), {**before, **new}.values(), entities)
        for name, text in new.items():
            if before[name] in read.others:
                message = "the answer says this in another place too, which can't be edited; withhold it"
                raise Unreadable(message, code="edit_unsupported")
            if name in read.documents:
                self._require_document(text)
        return b"".join(self._read(new).released)

    def _require_document(self, text: str) -> None:
        try:
            read_json(text.encode(), max_depth=self.max_depth)
        except Unreadable as error:
            message = f"what a tool is called with is a JSON document: {error}"
            raise Unreadable(message, code="edit_unreadable") from error

    def _read(self, edits: Mapping[str, str]) -> _Texts:
        texts = _Texts(self.api.answer_reader(self.request), edits, self.max_depth)
        limit = len(self.body) + 1
        pipe = frames_pipe(texts, api=self.api, content_type=self.content_type, max_body=limit)
        pipe.feed(self.body)
        pipe.finish()
        return texts


def changed_texts(before: Mapping[str, str], after: Mapping[str, str]) -> bytes:
    """What an edit changed, as JSON: the name of each text with what it was and is; for the record."""
    names = dict.fromkeys([*before, *after])
    found = [
        {"path": [name], "before": before.get(name), "after": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    ]
    return orjson.dumps(found)


class FoundText(NamedTuple):
    """A text of an answer, whole, with what was found in it; the name is empty where it has none."""

    name: str
    text: str
    findings: tuple[Finding, ...]


class _Texts:
    """Takes the frames of an answer, and puts `edits` into them; implements `Frames`."""

    def __init__(self, reader: AnswerReader, edits: Mapping[str, str], max_depth: int) -> None:
        self.released: list[bytes] = []
        self.documents: set[str] = set()
        """Of the texts, those that a tool is called with."""
        self.others: set[str] = set()
        """What is said in places that can't be edited."""
        self.channels: dict[str, dict[str, None]] = {}
        """The names of what is said on each channel: detectors read it joined."""
        self._reader = reader
        self._edits = edits
        self._max_depth = max_depth
        self._pieces: dict[str, str] = {}
        self._whole: dict[str, set[str]] = {}
        self._fixed: set[str] = set()
        self._placed: set[str] = set()

    def editable(self) -> dict[str, str]:
        """The texts; not those of which a part is fixed, or that are told in several ways."""
        texts: dict[str, str] = {}
        for name in dict.fromkeys([*self._pieces, *self._whole]):
            tellings = self.tellings(name)
            if name in self._fixed or len(tellings) != 1:
                self.others |= tellings
            else:
                texts[name] = tellings.pop()
        return texts

    def tellings(self, name: str) -> set[str]:
        """All that the answer has as the text of that name: one, unless it is told in several ways."""
        pieces = {self._pieces[name]} if name in self._pieces else set()
        return self._whole.get(name, set()) | pieces

    def found(self, scanner: Search) -> Iterator[FoundText]:
        """What is found in each text, told in whatever way; once where it is told the same."""
        named = dict.fromkeys((name, text) for name, text in self._pieces.items())
        named |= dict.fromkeys((name, text) for name, texts in self._whole.items() for text in sorted(texts))
        told = {text for _, text in named}
        self.editable()  # which finds out what else is said
        named |= dict.fromkeys(("", text) for text in sorted(self.others - told))
        for name, text in named:
            findings = scanner.scan(text, embedded_json=name in self.documents)
            if findings:
                yield FoundText(name, text, tuple(sorted(findings, key=lambda f: (f.start, f.end))))

    def put(
        self,
        raw: bytes,
        json: bytes,
        wrap: Callable[[bytes], bytes],
        *,
        is_plain: bool = True,
        is_only: bool = False,
    ) -> None:
        """Read a frame."""
        frame = self._reader.read(read_json(json, max_depth=self._max_depth))
        edits: dict[Path, str | None] = {}
        for field in frame.fields:
            edits |= self._field(field)
        self.released.append(wrap(edit_json(json, outermost(edits))) if edits else raw)

    def put_again(self, raws: Sequence[bytes], first: int) -> int:
        """Each frame is read."""
        return 0

    def put_unread(self, raw: bytes) -> None:
        """It stays."""
        self.released.append(raw)

    def end(self) -> None:
        """Nothing waits."""

    def step(self, *, is_last: bool) -> AnswerStep:
        """Nobody reads it."""
        return AnswerStep(b"", {}, {}, is_last=is_last)

    def _field(self, field: AnswerField) -> Mapping[Path, str | None]:
        name = field.part or field.channel
        if field.is_key or not name:
            self.others.add(field.text)
            return {}
        if field.channel:
            self.channels.setdefault(field.channel, {})[name] = None
        key = next((step for step in reversed(field.path) if isinstance(step, str)), "")
        if key not in _WORDS:
            self._fixed.add(name)
        if field.kind is TextKind.JSON:
            self.documents.add(name)
        if field.is_whole:
            self._whole.setdefault(name, set()).add(field.text)
        else:
            self._pieces[name] = self._pieces.get(name, "") + field.text
        return self._edit(name, field)

    def _edit(self, name: str, field: AnswerField) -> Mapping[Path, str | None]:
        new = self._edits.get(name)
        if new is None:
            return {}
        if not field.is_whole and name in self._placed:
            new = ""
        if not field.is_whole:
            self._placed.add(name)
        cuts = [Cut(0, len(field.text), new)]
        return {field.path: new, **echoed(field.text, cuts, field.echoes)}
