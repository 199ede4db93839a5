"""What there is in the small model of requests, people and grants: holds, passes and streams."""

from __future__ import annotations

from dataclasses import dataclass

from tests.core.agreed import MINUTE, Agreed, Late, Open, Paper, Refused, Step

PATHS: dict[str, tuple[Step, ...]] = {
    "one": (Step(1, 30),),
    "pair": (Step(2, 30, then=20),),
    "steps": (Step(1, 20), Step(1, 20)),
    "office": (Step(2, 120, then=60, in_office=True),),
    "own": (Step(1, 30, writers_too=True),),
}
"""Who has to agree, by the name of what a rule asks for."""

USE_WITHIN = 40 * MINUTE
REFUSED_FOR = 20 * MINUTE
NO = "no"


@dataclass
class Held(Paper):
    """What waits for people: a request, or the answer to one, as it came in at `first`."""

    id: str = ""
    request: str = ""
    path: str = ""
    first: bytes = b""
    is_answer: bool = False
    use_by: float = 0.0
    over: str = ""
    refused_until: float = 0.0
    released_to: str | None = None
    goes_to_caller: bool = False

    def state(self, now: float) -> str:
        """As it reads at that time."""
        if self.over:
            return self.over
        match self.stands(now):
            case Open():
                return "pending"
            case Agreed():
                return "approved" if now < self.use_by else "expired"
            case Refused():
                return "rejected"
            case Late():
                return "expired"

    def ends(self, now: float) -> float:
        """When it ends by itself, while it is open."""
        stands = self.stands(now)
        return stands.until if isinstance(stands, Open) else self.use_by


@dataclass
class Pass(Paper):
    """A grant: whoever it is for goes through, so often, until then, where the same path is asked for."""

    hold: str = ""
    path: str = ""
    is_for_all: bool = False
    uses: int = 0
    until: float = 0.0
    used: int = 0
    is_revoked: bool = False

    def state(self, now: float) -> str:
        """As it reads at that time."""
        if self.is_revoked:
            return "revoked"
        match self.stands(now):
            case Agreed():
                ended = "used_up" if self.used >= self.uses else "expired" if now >= self.until else ""
                return ended or "active"
            case Open():
                return "proposed" if now < self.until else "expired"
            case _:
                return "expired"

    def covers(self, stream: Stream, now: float) -> bool:
        """Whether that goes through: never what its makers ask."""
        is_for_them = self.is_for_all or stream.of == self.of
        is_makers = stream.of in {one.who for one in self.said}
        is_asked = not stream.is_answer and stream.path == self.path
        return self.state(now) == "active" and is_for_them and is_asked and not is_makers


@dataclass
class Stream:
    """One exchange: what it asked for, and which process has it under which name of its stream."""

    id: str
    of: str
    request: str
    body: bytes
    path: str
    is_answer: bool
    at: str
    name: str = ""
    hold: str | None = None
    is_out: bool = False
    is_killed: bool = False
    is_refused: bool = False
    has_ended: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether anything is still to come of its hold for it."""
        return not (self.has_ended or self.is_killed or self.is_out)
