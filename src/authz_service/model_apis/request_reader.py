"""What the request readers of all dialects share: whatever a dialect does not name is somebody's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, TypeGuard

from authz_service.errors import Unreadable
from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.measuring import Measured, measured_bytes, measured_medium, measured_value
from authz_service.model_apis.words import Words
from authz_service.view.kept import NAMED_BY, Kept, Result
from authz_service.view.request import Path, Role, TextField, TextKind
from authz_service.view.unread import MEDIA, Kind, Unread

_NUMBER = (int, float)
TELLING = 1_000_000
"""Numbers from which on a setting may tell something: below are counts and sizes."""
_AS_TEXT = frozenset({Kind.TOKENS, Kind.REFERENCE, Kind.TEMPLATE})
"""Kinds of which the strings are texts as well: a URL can carry away what it names."""

_CARRYING = frozenset(("data", "url", "source"))
"""Where an object that describes a medium has its content."""

_NAMING = frozenset(("id", "uuid"))
"""Where such an object names what the model server keeps of earlier requests."""

MOST_UNREAD = 256
"""Values of one request that may be noted as unread; their digests take time."""

_DISGUISED = "a key differs from one of the API's only in upper and lower case"


class Speaker(NamedTuple):
    """Whose texts are being read."""

    role: Role = Role.OTHER
    new_turn: bool = False


TEXT_ONLY = "is not text, and this gateway judges text only"

NOBODY = Speaker()
"""What surrounds the words of a conversation: parameters, schemas, names, metadata."""


class _Part(dict[str, Any]):
    """A typed part without its type: an object whatever its kind."""


class RequestReader:
    """Collects the texts of one request, in document order.

    A dialect's reader extends it with the members that it names, and gives every other to `member`, by
    which its strings, keys and numbers are texts. All methods raise `Unreadable` for what is not the
    dialect's, or cannot be read without doubt.
    """

    prose: frozenset[str] = frozenset()
    """Keys that hold a string or null, wherever somebody speaks."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._stopping = words.stopping
        self._selecting = words.selecting
        self.texts: list[TextField] = []
        self.tools: list[str] = []
        self.unread: list[Unread] = []
        self._within: frozenset[Kind] = frozenset()

    def refuse(self, code: str, path: Path, why: str) -> NoReturn:
        """Stop the request: `why` completes a sentence that begins with where it stands."""
        raise Unreadable(f"{self.words.spoken(path)}: {why}.", code=code)

    def expect_object(self, value: object, path: Path) -> dict[str, Any]:
        """`value` as an object with no key in disguise."""
        if not isinstance(value, dict):
            self.refuse("invalid_field", path, "an object was expected")
        keys = self.words.keys
        for key in value:
            if key not in keys and self.words.is_disguised(key):
                self.refuse("ambiguous_field", path, _DISGUISED)
        return value

    def expect_list(self, value: object, path: Path) -> list[Any]:
        """`value` as a list."""
        if not isinstance(value, list):
            self.refuse("invalid_field", path, "a list was expected")
        return value

    def expect_text(
        self, value: object, path: Path, speaker: Speaker = NOBODY, kind: TextKind = TextKind.PLAIN
    ) -> None:
        """A string, which is a text."""
        if not isinstance(value, str):
            self.refuse("invalid_field", path, "a string was expected")
        self.add(value, path, speaker, kind)

    def add(self, text: str, path: Path, speaker: Speaker = NOBODY, kind: TextKind = TextKind.PLAIN) -> None:
        """A text that stands at `path`."""
        self.texts.append(TextField(path, text, speaker.role, kind, speaker.new_turn))

    # What dialects have in common.

    def model_name(self, body: Mapping[str, Any]) -> str:
        """`model` at the root."""
        model = body.get("model")
        if not isinstance(model, str) or not model:
            self.refuse("invalid_field", ("model",), "the name of a model was expected")
        return model

    def flag(self, body: Mapping[str, Any], key: str, *, default: bool = False) -> bool:
        """A boolean at the root; null is as if absent."""
        value = body.get(key)
        if value is not None and not isinstance(value, bool):
            self.refuse("invalid_field", (key,), "true or false was expected")
        return default if value is None else value

    def count(self, body: Mapping[str, Any], key: str, *, highest: int) -> int:
        """A whole number from 1 at the root; 1 where it is absent or null."""
        value = body.get(key)
        if value is None:
            return 1
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= highest:
            self.refuse("invalid_field", (key,), f"a whole number from 1 to {highest} was expected")
        return value

    def parameters(self, body: Mapping[str, Any]) -> dict[str, object]:
        """What rules may ask about a call: the numbers, booleans, and words that select of an object."""
        return {
            key: value
            for key, value in body.items()
            if isinstance(value, _NUMBER)  # and bool, which is an int here
            or (isinstance(value, str) and self.words.selects(key, value))
        }

    def token_estimate(self) -> int:
        """A quarter of the characters that were read, rounded up."""
        return -(-sum(len(text.text) for text in self.texts) // 4)

    def parts(self, value: object, path: Path, speaker: Speaker, carriers: Mapping[str, str]) -> None:
        """The content of a message: a string, null, or a list of strings and typed parts.

        `carriers` are the types of parts that are read, each with the key under which its text stands;
        a part of another type is not read, and what else a part says is read as by `member`.
        """
        if value is None:
            return
        if isinstance(value, str):
            self.add(value, path, speaker)
            return
        if not isinstance(value, list):
            self.refuse("invalid_field", path, "a string, a list of parts or null was expected")
        for i, part in enumerate(value):
            if isinstance(part, str):
                self.add(part, (*path, i), speaker)
            else:
                self._part(part, (*path, i), speaker, carriers)

    def _part(self, part: object, path: Path, speaker: Speaker, carriers: Mapping[str, str]) -> None:
        content = self.expect_object(part, path)
        kind = content.get("type")
        carrier = carriers.get(kind) if isinstance(kind, str) else None
        if carrier is None:
            is_known = isinstance(kind, str) and kind in self.words.refused
            named = f"a part of type {kind}" if is_known else "this part"
            self.leave_part(content, path, f"{named} {TEXT_ONLY}", self.kind_of_part(kind), speaker)
            self.expect_no_text(content, path, carriers)
            return
        self.expect_carrier(content, path, carrier, carriers)
        for key, value in content.items():
            if key != "type":
                self.member(key, value, path, speaker)

    def expect_carrier(
        self, part: Mapping[str, Any], path: Path, carrier: str, carriers: Mapping[str, str]
    ) -> None:
        """A typed part has its text under `carrier`, and none where parts of another type have theirs."""
        if not isinstance(part.get(carrier), str):
            self.refuse("invalid_field", (*path, carrier), "a string was expected")
        self.expect_no_text(part, path, carriers, but=carrier)

    def expect_no_text(
        self, part: Mapping[str, Any], path: Path, carriers: Mapping[str, str], *, but: str = ""
    ) -> None:
        """A typed part has nothing where parts of other types have their text; null and "" are nothing.

        A model server joins the parts around it by their types, or joins whatever has a text: which of
        the two would be read, nobody could tell.
        """
        for key in carriers.values():
            if key != but and part.get(key) not in (None, ""):
                has = "its text elsewhere" if but else "no text"
                self.refuse("invalid_field", (*path, key), f"a part of this type has {has}")

    def tool(self, definition: Mapping[str, Any], path: Path, schemas: frozenset[str]) -> None:
        """The definition of a tool by its name; under the keys of `schemas` any key is ordinary."""
        self.tool_name(definition.get("name"), (*path, "name"))
        for key, item in definition.items():
            if key == "description" and item is not None:
                self.expect_text(item, (*path, key))
            else:
                self.member(key, item, path, is_free=key in schemas)

    def tool_name(self, value: object, path: Path) -> None:
        """The name of a tool, which rules may ask for."""
        if not isinstance(value, str) or not value:
            self.refuse("invalid_field", path, "a name was expected")
        self.tools.append(value)

    # What is no text is noted, and judged by its kind.

    def prompts(self, value: object, path: Path, speaker: Speaker) -> None:
        """A text, or several, or tokens in their place."""
        if isinstance(value, str):
            self.add(value, path, speaker)
            return
        items = self.expect_list(value, path)
        if items and all(isinstance(item, str) for item in items):
            for i, text in enumerate(items):
                self.add(text, (*path, i), speaker)
            return
        why = "a string or a list of strings was expected; tokens cannot be read by this gateway"
        self.leave(Kind.TOKENS if items and _is_tokens(items) else None, value, path, why, speaker)

    def kind_of_part(self, name: object) -> Kind | None:
        """What a part of this type holds; None where no rule may permit it."""
        return self.words.kinds.get(name) if isinstance(name, str) else None

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
            self._name(result, content, before)

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

    # What the dialect does not name is read generically: strings are texts, and so are keys and numbers.

    def member(
        self, key: str, value: object, parent: Path, speaker: Speaker = NOBODY, *, is_free: bool = False
    ) -> None:
        """A member of an object, with all below it.

        With `is_free` any field and any list of numbers is ordinary below it: a schema, metadata.
        """
        path = (*parent, key)
        stopping = self._stopping.get(key)
        if not is_free and stopping != "" and self._is_left(key, value, path, speaker):
            return
        if not is_free and speaker is not NOBODY and key in self.prose:
            self._expect_prose(value, path)
        if stopping is None:
            self.texts.append(TextField(path, key, speaker.role, new_turn=speaker.new_turn, is_key=True))
        self._value(value, path, speaker, key, is_free)

    def _is_left(self, key: str, value: object, path: Path, speaker: Speaker) -> bool:
        """Whether a field holds what is not read; refuse one that may not be there at all."""
        stopping = self.words.stops_as(key)
        if not stopping or not self.words.is_on(stopping, value):
            return False
        if key != stopping:
            self.refuse("ambiguous_field", path[:-1], _DISGUISED)
        why = f"this field is not supported, since {self.words.refused[key]}"
        before = len(self.unread)
        self.leave(self.words.kinds.get(key), value, path, why, speaker, code="unsupported_field")
        if (result := NAMED_BY.get(key)) is not None:
            self._name(result, value, before)
        return True

    def _name(self, result: Result, value: object, before: int) -> None:
        """Say of what was left since `before` that it names the result of another exchange, and which.

        By a string, or by an object with nothing but an `id`. Of another form, or within another value that
        is not read, it names what nobody can own.
        """
        said = value.get("id") if isinstance(value, dict) and value.keys() == {"id"} else value
        name = said if isinstance(said, str) and len(self.unread) == before + 1 else ""
        self.unread[-1] = replace(self.unread[-1], kept=Kept(result, name))

    def _expect_prose(self, value: object, path: Path) -> None:
        if value is not None and not isinstance(value, str):
            self.refuse("invalid_field", path, "a string or null was expected")

    def _value(self, value: object, path: Path, speaker: Speaker, key: str, is_free: bool) -> None:
        if isinstance(value, str):
            words = self._selecting.get(key)
            if words is None or value not in words:
                role, new_turn = speaker
                self.texts.append(TextField(path, value, role, TextKind.PLAIN, new_turn))
        elif isinstance(value, dict):
            for name, item in value.items():
                self.member(name, item, path, speaker, is_free=is_free)
        elif isinstance(value, list):
            if not is_free and _has_number(value):
                why = "an unknown list of numbers may be tokens, which cannot be read"
                self.leave(Kind.TOKENS, value, path, why, speaker, code="unsupported_field")
                return
            for i, item in enumerate(value):
                self._value(item, (*path, i), speaker, key, is_free)
        elif is_number(value) and (len(path) > 1 or key not in self.words.keys or _is_telling(key, value)):
            # Tools' schemas and documents are written into the prompt, their numbers too; and what a
            # server makes of a field that nobody knows, or of a number in the place of a text, is not
            # known either.
            said = said_by(value)
            self.texts.append(TextField(path, said, speaker.role, new_turn=speaker.new_turn, is_number=True))


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value of a JSON document is a number."""
    return isinstance(value, _NUMBER) and not isinstance(value, bool)


def _is_telling(key: str, value: float) -> bool:
    """Whether a number at the root is larger than settings are. Seeds are drawn from all there are."""
    return key != "seed" and abs(value) >= TELLING


def _has_number(items: Sequence[object]) -> bool:
    return any(is_number(item) for item in items)


def _is_tokens(items: Sequence[object]) -> bool:
    """Whether every item is a text, a token or a list of tokens."""
    return all(
        isinstance(item, str)
        or _is_token(item)
        or (isinstance(item, list) and all(isinstance(token, str) or _is_token(token) for token in item))
        for item in items
    )


def _is_token(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _declared(kind: Kind, content: Mapping[str, Any]) -> str:
    """The media type that an object gives for its content; "" where it gives none."""
    named = content.get("media_type", content.get("mime_type", content.get("format")))
    if not isinstance(named, str):
        return ""
    return named if "/" in named else f"{kind.value}/{named}"
