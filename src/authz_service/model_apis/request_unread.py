"""What of a request is no text: it is measured, noted and judged by its kind, or it stops the request."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from authz_service.model_apis.measuring import Measured, measured_bytes, measured_medium, measured_value
from authz_service.model_apis.request_texts import NOBODY, RequestTexts, Speaker
from authz_service.model_apis.words import Words
from authz_service.view.kept import NAMED_BY, Kept, Result
from authz_service.view.request import Path
from authz_service.view.unread import MEDIA, Kind, Unread

_AS_TEXT = frozenset({Kind.TOKENS, Kind.REFERENCE, Kind.TEMPLATE})
"""Kinds of which the strings are texts as well: a URL can carry away what it names."""

_CARRYING = frozenset(("data", "url", "source"))
"""Where an object that describes a medium has its content."""

_NAMING = frozenset(("id", "uuid"))
"""Where such an object names what the model server keeps of earlier requests."""

MOST_UNREAD = 256
"""Values of one request that may be noted as unread; their digests take time."""


class _Part(dict[str, Any]):
    """A typed part without its type: an object whatever its kind."""


class UnreadValues(RequestTexts, ABC):
    """Notes what no text is read from. What else stands there is read as by `member`, which is a reader's."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.unread: list[Unread] = []
        self._within: frozenset[Kind] = frozenset()

    @abstractmethod
    def member(
        self, key: str, value: object, parent: Path, speaker: Speaker = NOBODY, *, is_free: bool = False
    ) -> None:
        """Read a member of an object that nobody named, with all below it."""

    def leave(
        self,
        kind: Kind | None,
        value: object,
        path: Path,
        why: str,
        speaker: Speaker = NOBODY,
        *,
        code: str = "unsupported_content",
        declared: str = "",
    ) -> None:
        """Note what is not read in `value`; whatever else stands there is read as by `member`.

        Without a kind, or where there is nothing to note, it stops the request. So it does when the rules
        do not permit it, with `code` and `why`. `declared` is the media type that the request gives.
        """
        if kind is None or not self.words.kinds:
            self.refuse(code, path, why)
        before = len(self.unread)
        self._leave(kind, value, path, speaker, declared)
        if len(self.unread) == before and kind not in self._within:
            self.refuse(code, path, why)
        self._explain(before, path, code, why)

    def _explain(self, before: int, path: Path, code: str, why: str) -> None:
        """Say of what was noted since `before` what the caller reads when it is not permitted."""
        if len(self.unread) > MOST_UNREAD:
            self.refuse(code, path, f"more than {MOST_UNREAD} values of this request are not text")
        message = f"{self.words.spoken(path)}: {why}."
        noted = self.unread[before:]
        self.unread[before:] = [replace(unread, code=code, message=message) for unread in noted]

    def leave_part(
        self, part: Mapping[str, Any], path: Path, why: str, kind: Kind | None, speaker: Speaker
    ) -> None:
        """Note what is not read in a typed part; its type is none of a caller's own words."""
        content = {key: value for key, value in part.items() if key != "type"}
        before, name = len(self.unread), part.get("type")
        self.leave(kind, _Part(content), path, why, speaker)
        if isinstance(name, str) and (result := NAMED_BY.get(name)) is not None:
            self.name_kept(result, content, before)

    def leave_name(self, result: Result, value: object, path: Path, why: str, speaker: Speaker) -> None:
        """Note a name of what the model server keeps of another exchange."""
        before = len(self.unread)
        self.leave(Kind.REFERENCE, value, path, why, speaker)
        self.name_kept(result, value, before)

    def leave_within(self, kind: Kind, contents: Sequence[str], path: Path, why: str) -> None:
        """Note media, or URLs of media, that stand within the text at `path`, which is read besides."""
        before = len(self.unread)
        for content in contents[: MOST_UNREAD + 1]:
            self.note(measured_medium(kind, content), path)
        self._explain(before, path, "unsupported_content", why)

    def note(self, measured: Measured, path: Path) -> None:
        """Note a value that was measured."""
        self.unread.append(
            Unread(
                kind=measured.kind,
                path=path,
                place=self.words.spoken(path),
                size=measured.size,
                sha256=measured.sha256,
                type=measured.type,
                declared=measured.declared,
                scheme=measured.scheme,
            )
        )

    def name_kept(self, result: Result, value: object, before: int) -> None:
        """Say of what was left since `before` that it names the result of another exchange, and which.

        By a string, or by an object with nothing but an `id`. Of another form, or within another value that
        is not read, it names what nobody can own.
        """
        said = value.get("id") if isinstance(value, dict) and value.keys() == {"id"} else value
        name = said if isinstance(said, str) and len(self.unread) == before + 1 else ""
        self.unread[-1] = replace(self.unread[-1], kept=Kept(result, name))

    def _leave(self, kind: Kind, value: object, path: Path, speaker: Speaker, declared: str = "") -> None:
        if isinstance(value, _Part) or (kind in MEDIA and isinstance(value, dict)):
            self._described(kind, value, path, speaker, declared)
        elif kind in MEDIA and isinstance(value, bytes):
            self.note(measured_bytes(kind, value, declared), path)
        elif kind in MEDIA and isinstance(value, str):
            measured = measured_medium(kind, value, declared)
            self.note(measured, path)
            if measured.kind is Kind.REFERENCE:
                self.add(value, path, speaker)
        elif kind in MEDIA and isinstance(value, list):
            for i, item in enumerate(value):
                self._leave(kind, item, (*path, i), speaker, declared)
        elif kind not in MEDIA:
            if kind in self._within:
                # Its digest is in that of what is around it; one for each level would take too long.
                self._strings(value, path, speaker)
                return
            self.note(measured_value(kind, value), path)
            if kind in _AS_TEXT:
                around, self._within = self._within, self._within | {kind}
                self._strings(value, path, speaker)
                self._within = around

    def _described(self, kind: Kind, value: object, path: Path, speaker: Speaker, declared: str) -> None:
        """An object that has a content in one member and says in others what it is."""
        content = self.expect_object(value, path)
        declared = _declared(kind, content) or declared
        for key, item in content.items():
            here = (*path, key)
            if key in _CARRYING and item is not None:
                self._leave(kind, item, here, speaker, declared)
            elif key in _NAMING and isinstance(item, str):
                self._leave(Kind.REFERENCE, item, here, speaker)
                # Nobody can be its owner: a caller chose the name, or no answer that is read tells it.
                self.unread[-1] = replace(self.unread[-1], kept=Kept(Result.ITEM, ""))
            else:
                self.member(key, item, path, speaker)

    def _strings(self, value: object, path: Path, speaker: Speaker) -> None:
        """What is text in a value that is not read as a whole."""
        if isinstance(value, str):
            self.add(value, path, speaker)
        elif isinstance(value, dict):
            for key, item in value.items():
                self.member(key, item, path, speaker)
        elif isinstance(value, list):
            for i, item in enumerate(value):
                self._strings(item, (*path, i), speaker)


def _declared(kind: Kind, content: Mapping[str, Any]) -> str:
    """The media type that an object gives for its content; "" where it gives none."""
    named = content.get("media_type", content.get("mime_type", content.get("format")))
    if not isinstance(named, str):
        return ""
    return named if "/" in named else f"{kind.value}/{named}"
