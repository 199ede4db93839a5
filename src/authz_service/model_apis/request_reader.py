"""What the request readers of all dialects share: the members that mean the same to several of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from authz_service.model_apis.base import Operation
from authz_service.model_apis.request_messages import MessageReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.model_apis.words import Words
from authz_service.view.request import Path, RequestView
from authz_service.view.unread import Kind

_NUMBER = (int, float)


class RequestReader(MessageReader):
    """Collects the texts of one request, in document order.

    A dialect's reader extends it with the members that it names, and gives every other to `member`, by
    which its strings, keys and numbers are texts. All methods raise `Unreadable` for what is not the
    dialect's, or cannot be read without doubt.
    """

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.tools: list[str] = []

    def view(
        self,
        operation: Operation,
        body: Mapping[str, Any],
        *,
        model: str,
        stream: bool,
        parameters: Mapping[str, object] | None = None,
        choices: int = 1,
        in_parts: frozenset[str] = frozenset(),
    ) -> RequestView:
        """What was read of `body`; its `parameters` are those of the body itself where none are given."""
        return RequestView(
            api=operation.api,
            operation=operation.name,
            model=model,
            stream=stream,
            texts=tuple(self.texts),
            tools=tuple(self.tools),
            parameters=self.parameters(body) if parameters is None else parameters,
            token_estimate=self.token_estimate(),
            choices=choices,
            in_parts=in_parts,
            unread=tuple(self.unread),
            turn=self.turn,
        )

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
