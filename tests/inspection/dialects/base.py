"""What the properties of streamed answers need to know of a dialect: how to tell a story, and to hear it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authz_service.model_apis.base import ModelApi
from authz_service.view.request import RequestView

Said = tuple[str, str]
"""The name of a text, and a piece of it."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect whose streams tell `fields` (names of texts, in an order in which a model may begin them).

    `tell` makes a stream of pieces, `hear` says what a client understands of one. `arguments` names the
    text that is a tool call's JSON, where there are any. With `in_turn` a text is over when the next
    begins; in other dialects texts go on side by side.
    """

    api: ModelApi
    operation: str
    fields: tuple[str, ...]
    tell: Callable[[Sequence[Said]], bytes]
    hear: Callable[[bytes], Mapping[str, str]]
    arguments: str | None = None
    in_turn: bool = False
    content_type: str = "text/event-stream"

    @property
    def request(self) -> RequestView:
        """The request that is answered."""
        return RequestView(self.api.name, self.operation, "llama", True, (), tools=("send_mail",))

    def __repr__(self) -> str:
        return f"{self.api.name}-{self.operation}"


def compact(document: Any) -> str:
    """JSON as servers write it."""
    return json.dumps(document, separators=(",", ":"))


def event(document: Any, name: str | None = None) -> bytes:
    """One event of a stream."""
    return (f"event: {name}\n" if name else "").encode() + f"data: {compact(document)}\n\n".encode()


def documents(stream: bytes) -> list[Any]:
    """What the events of a stream hold, without a mark of the end."""
    data = [line[6:] for line in stream.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]
