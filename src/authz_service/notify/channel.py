"""What a channel is given and what it promises; further kinds of channels begin here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a hold or a grant, thin: nothing of what was asked. Times are seconds since the epoch.

    `id` is the same whenever the same notice comes again. `type` is the event, such as `hold.opened`.
    `caller` is a pseudonym or a name, as the receiver is to be told. With a `grant` it is about that, and
    `hold` is what it was made from. An empty `grant` or `link` and a `deadline` of None are absent.
    """

    id: str
    type: str
    at: float
    hold: str
    rule: str
    caller: str
    model: str
    deadline: float | None = None
    link: str = ""
    grant: str = ""


class NotDelivered(Exception):
    """A channel could not hand a notice over; the message says why, without secrets and foreign text.

    `again_in` is how many seconds the receiver asks not to be tried for; 0 where it asks for nothing.
    """

    def __init__(self, message: str, *, again_in: float = 0.0) -> None:
        super().__init__(message)
        self.again_in = again_in


class Channel(Protocol):
    """One receiver, by whatever way."""

    @property
    def name(self) -> str:
        """As the configuration has it."""
        ...

    async def deliver(self, notice: Notice) -> None:
        """Hand one over; raises `NotDelivered`. The same one may come again, with the same id."""
        ...
