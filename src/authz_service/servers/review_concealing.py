"""Keeps from reviewers what `review.conceal` conceals: in what they are told, and in what they edit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from google.protobuf.message import Message

from authz_api.v1 import grants_pb2, holds_pb2
from authz_service.core.stored_holds import Hold
from authz_service.errors import Conflict, Unavailable
from authz_service.runtime.concealing import Seen
from authz_service.runtime.revising import Revised
from authz_service.servers.roles import Standing

WITHHELD = "values in it are concealed from you"
"""Why it is not told what an edit changed."""


class Concealer(Protocol):
    """Conceals by the detectors in force; see `runtime.concealing`."""

    async def seen(self, hold: Hold, entities: frozenset[str]) -> Seen:
        """The hold without the values of `entities`."""
        ...

    async def words(self, texts: Sequence[str], entities: frozenset[str]) -> list[str]:
        """What people have written, without these."""
        ...

    async def body(self, hold: Hold, body: bytes, entities: frozenset[str]) -> bytes:
        """An edited request with what is concealed from its editor."""
        ...

    async def texts(self, hold: Hold, texts: Mapping[str, str], entities: frozenset[str]) -> dict[str, str]:
        """Edited texts of an answer with what is concealed from their editor."""
        ...

    async def require_same(self, before: Hold, after: Hold, entities: frozenset[str]) -> None:
        """Raises `Unreadable` unless the same is concealed in both."""
        ...

    async def changes(self, before: Hold, after: Hold) -> bytes:
        """What is different in a hold of which both are what somebody sees."""
        ...


@dataclass(frozen=True, slots=True)
class Veil:
    """Nothing is done for those from whom nothing is concealed. Without a `concealer` others see nothing."""

    concealer: Concealer | None = None

    async def seen(self, standing: Standing, hold: Hold) -> Seen | None:
        """What they see of a hold; None where that is all of it."""
        entities = standing.concealed
        return await self._by.seen(hold, entities) if entities else None

    async def words(self, standing: Standing, messages: Iterable[Message]) -> None:
        """Conceal what people have written, in these messages of holds, decisions and grants."""
        entities = standing.concealed
        if not entities:
            return
        places = [place for message in messages for place in _places(message)]
        if not places:
            return
        texts = await self._by.words([getattr(message, name) for message, name in places], entities)
        for (message, name), text in zip(places, texts, strict=True):
            setattr(message, name, text)

    async def tools(self, standing: Standing, grant: grants_pb2.Grant) -> None:
        """Conceal what is in the names of tools; without the terms, then, on which nobody can vote so."""
        entities = standing.concealed
        if not entities:
            return
        tools = await self._by.words(grant.tools, entities)
        if tools != list(grant.tools):
            grant.tools[:] = tools
            grant.ClearField("terms")

    async def require_tools(self, standing: Standing, tools: Sequence[str]) -> None:
        """Raises `Conflict` where what is concealed from them is in the names of tools."""
        entities = standing.concealed
        if entities and await self._by.words(tools, entities) != list(tools):
            message = (
                "the tools of this request have names that are concealed from you; somebody else can do this"
            )
            raise Conflict(message, code="not_concealable")

    async def body(self, standing: Standing, hold: Hold, body: bytes) -> bytes:
        """What they edit in a request, with what is concealed from them."""
        entities = standing.concealed
        return await self._by.body(hold, body, entities) if entities else body

    async def texts(self, standing: Standing, hold: Hold, texts: Mapping[str, str]) -> Mapping[str, str]:
        """What they edit in an answer, with what is concealed from them."""
        entities = standing.concealed
        return await self._by.texts(hold, texts, entities) if entities else texts

    async def require_same(self, standing: Standing, hold: Hold, revised: Revised) -> None:
        """Raises `Unreadable` where an edit changes what is concealed from its editor."""
        entities = standing.concealed
        if entities:
            await self._by.require_same(hold, edited(hold, revised), entities)

    async def changes(self, before: Seen, after: Seen) -> bytes:
        """What is different for whoever sees these."""
        return await self._by.changes(before.hold, after.hold)

    @property
    def _by(self) -> Concealer:
        if self.concealer is None:
            message = "what is concealed from you cannot be told here, so nothing is shown"
            raise Unavailable(message, code="not_concealable")
        return self.concealer


def edited(hold: Hold, revised: Revised) -> Hold:
    """The hold with an edit in the place of what waits."""
    return replace(hold, forward=revised.forward, answer=revised.answer or hold.answer)


def _places(message: Message) -> Iterator[tuple[Message, str]]:
    """Where people's own words stand in a message."""
    match message:
        case holds_pb2.Hold():
            yield from ((vote, "reason") for vote in message.votes)
            yield from ((act, "text") for act in message.acts)
            if message.HasField("claim"):
                yield message.claim, "text"
        case holds_pb2.EarlierDecision():
            yield from ((vote, "reason") for vote in message.votes)
        case grants_pb2.Grant():
            yield from ((vote, "reason") for vote in message.votes)
            yield message, "revoke_reason"
        case _:
            raise TypeError(f"nobody knows what people have written in a {type(message).__name__}")
