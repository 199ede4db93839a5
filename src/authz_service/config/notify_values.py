"""The part of the configuration that says who is told of holds, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from authz_service.core.notifications import EVENTS, Wanted


class CallerShown(StrEnum):
    """How a receiver is told who asks: by a keyed pseudonym, as the record has it, or by name."""

    PSEUDONYM = "pseudonym"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where signing secrets are: in a file, or in a variable of the environment."""

    file: Path | None = None
    variable: str = ""

    @property
    def place(self) -> str:
        """For messages."""
        return self.variable if self.file is None else self.file.name


@dataclass(frozen=True, slots=True)
class NotifiedWebhook:
    """Takes signed notifications of `events` (words of `EVENTS`); `ca` signed its certificate."""

    name: str
    url: str
    secret: Secret
    events: tuple[str, ...] = tuple(EVENTS)
    caller: CallerShown = CallerShown.PSEUDONYM
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Receivers; a link for people with `{hold}` in it; how long, in seconds, one delivery is tried."""

    webhooks: tuple[NotifiedWebhook, ...] = ()
    link: str = ""
    give_up_after: float = 86_400.0

    @property
    def wanted(self) -> Wanted:
        """Who is to be told of what."""
        by_kind = {
            kind: tuple(hook.name for hook in self.webhooks if word in hook.events)
            for word, kind in EVENTS.items()
        }
        return Wanted({kind: names for kind, names in by_kind.items() if names}, self.give_up_after)
