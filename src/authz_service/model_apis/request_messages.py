"""The messages of a conversation: who speaks in each, and the parts that its content may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from authz_service.model_apis.request_members import MemberReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.view.request import Path, Role
from authz_service.view.unread import Kind

TEXT_ONLY = "is not text, and this gateway judges text only"


class MessageReader(MemberReader):
    """Reads messages as most dialects have them; what none names in them is read as by `member`."""

    def turns(
        self, messages: Sequence[object], roles: Mapping[str, Role]
    ) -> Iterator[tuple[dict[str, Any], Path, Speaker]]:
        """Each message of a conversation, where it stands, and who speaks in it, by the names in `roles`.

        Those from `newest_turn` on are the new turn.
        """
        said = [self._said(message, ("messages", i), roles) for i, message in enumerate(messages)]
        newest = self.newest_turn([role for _, role in said], ("messages",))
        for i, (message, role) in enumerate(said):
            yield message, ("messages", i), Speaker(role, new_turn=i >= newest)

    def _said(self, value: object, path: Path, roles: Mapping[str, Role]) -> tuple[dict[str, Any], Role]:
        message = self.expect_object(value, path)
        role = message.get("role")
        if not isinstance(role, str) or role not in roles:
            self.refuse("unsupported_role", (*path, "role"), f"one of {', '.join(roles)} was expected")
        return message, roles[role]

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

    def kind_of_part(self, name: object) -> Kind | None:
        """What a part of this type holds; None where no rule may permit it."""
        return self.words.kinds.get(name) if isinstance(name, str) else None
