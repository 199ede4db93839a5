"""What a session's entries tell, put together: the same facts for the page and for the replay."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authz_api.v1 import sessions_pb2
from authz_cli.hold_text import local
from authz_cli.session_json import entry_data


@dataclass(frozen=True, slots=True)
class Event:
    """One entry: when, what, its data, and its payloads by name."""

    at: datetime
    kind: str
    data: Mapping[str, Any]
    payloads: Mapping[str, bytes]

    def named(self, payload: str) -> str:
        """Who the payload `payload` names: a person, or a subject; empty when it is gone."""
        try:
            document = json.loads(self.payloads.get(payload, b"{}"))
        except ValueError:
            return ""
        if not isinstance(document, dict):
            return ""
        voter = document.get("voter")
        subject = voter[-1] if isinstance(voter, list) and voter else document.get("subject")
        return str(document.get("name") or document.get("person") or subject or "")

    def done_by(self, payload: str) -> str:
        """The same, or the pseudonym that the entry has where the name is gone; empty where it has none."""
        return self.named(payload) or str(self.data.get(payload, ""))

    def said(self) -> str:
        """The reason that somebody gave."""
        return self.payloads.get("reason", b"").decode(errors="replace")


@dataclass(frozen=True, slots=True)
class Story:
    """The events of a session, in order; `is_before_masking` where their bodies are as they came."""

    events: Sequence[Event] = field(default_factory=tuple)
    is_before_masking: bool = False

    @classmethod
    def of(cls, entries: Sequence[sessions_pb2.Entry], *, is_before_masking: bool = False) -> Story:
        """From the entries of one session."""
        return cls([event_of(entry) for entry in entries], is_before_masking)

    def all(self, *kinds: str) -> list[Event]:
        """The events of these kinds."""
        return [event for event in self.events if event.kind in kinds]

    def first(self, *kinds: str) -> Event | None:
        """The first of them."""
        return next(iter(self.all(*kinds)), None)

    def last(self, *kinds: str) -> Event | None:
        """The last of them."""
        return next(reversed(self.all(*kinds)), None)

    @property
    def body(self) -> tuple[str, bytes] | None:
        """The request, with what became of it; None when nothing of it is kept."""
        for kind, payload, words in _BODIES:
            event = self.last(kind)
            if event is not None and payload in event.payloads:
                return BEFORE if self.is_before_masking else words, event.payloads[payload]
        return None

    @property
    def pieces(self) -> list[Event]:
        """The answer, piece by piece."""
        return self.all("answer.released")

    @property
    def answer(self) -> bytes | None:
        """All of it, as it went to the caller; None when nothing did."""
        pieces = [piece.payloads["body"] for piece in self.pieces if "body" in piece.payloads]
        return b"".join(pieces) if pieces else None

    @property
    def masked(self) -> Mapping[str, int]:
        """What was taken out of the answer, by type."""
        return self._counted("masked")

    @property
    def restored(self) -> Mapping[str, int]:
        """The values of the request that were put into the answer in place of placeholders, by type."""
        return self._counted("restored")

    def _counted(self, what: str) -> Mapping[str, int]:
        total: dict[str, int] = {}
        for piece in self.pieces:
            for name, count in counts(piece.data.get(what)):
                total[name] = total.get(name, 0) + count
        return total


BEFORE = "The request, as it came, before masking"
_BODIES = (
    ("request.released", "body", "The request, as it went to the model"),
    ("hold.opened", "forward", "The request, as it would have gone to the model"),
    ("request.decided", "body", "The request, which went nowhere; every finding in it is masked"),
    ("request.refused", "body", "The request, which went nowhere; every finding in it is masked"),
)


def event_of(entry: sessions_pb2.Entry) -> Event:
    """An entry, read."""
    payloads = {payload.name: payload.body for payload in entry.payloads}
    return Event(local(entry.at), entry.kind, entry_data(entry), payloads)


def counts(found: object) -> Iterator[tuple[str, int]]:
    """Names with numbers above zero, in order."""
    if isinstance(found, Mapping):
        yield from sorted((str(n), c) for n, c in found.items() if isinstance(c, int) and c > 0)
