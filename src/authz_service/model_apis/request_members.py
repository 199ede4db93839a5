"""What a dialect does not name of a request: its strings, keys and numbers are texts, whatever they mean."""

from __future__ import annotations

from authz_service.masking.json_numbers import said_by
from authz_service.model_apis.numbers import TELLING, is_number, is_numbers
from authz_service.model_apis.request_texts import DISGUISED, NOBODY, Speaker
from authz_service.model_apis.request_unread import UnreadValues
from authz_service.model_apis.words import Words
from authz_service.view.kept import NAMED_BY
from authz_service.view.request import Path, TextField, TextKind
from authz_service.view.unread import Kind


class MemberReader(UnreadValues):
    """Reads members of objects by the dialect's `Words` alone."""

    prose: frozenset[str] = frozenset()
    """Keys that hold a string or null, wherever somebody speaks."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self._stopping = words.stopping
        self._selecting = words.selecting

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
            self.refuse("ambiguous_field", path[:-1], DISGUISED)
        why = f"this field is not supported, since {self.words.refused[key]}"
        before = len(self.unread)
        self.leave(self.words.kinds.get(key), value, path, why, speaker, code="unsupported_field")
        if (result := NAMED_BY.get(key)) is not None:
            self.name_kept(result, value, before)
        return True

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
            if not is_free and is_numbers(value):
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


def _is_telling(key: str, value: float) -> bool:
    """Whether a number at the root is larger than settings are. Seeds are drawn from all there are."""
    return key != "seed" and abs(value) >= TELLING
