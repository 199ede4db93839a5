"""What people have agreed to, in the words of the tests: nothing of the product decides here.

All times are whole minutes, and office hours are counted minute by minute, by what a clock in Berlin shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = 60.0
BERLIN = ZoneInfo("Europe/Berlin")
LEADS = frozenset({"lea"})
"""Who is asked once the others were silent for too long."""


@cache
def is_office(at: float) -> bool:
    """From nine to five on working days."""
    shown = datetime.fromtimestamp(at, BERLIN)
    return shown.weekday() < 5 and 9 <= shown.hour < 17


@cache
def later(begin: float, minutes: int, *, in_office: bool) -> float:
    """When so many minutes will have passed, those outside the office not counted if it says so."""
    at = begin
    while minutes:
        minutes -= is_office(at) or not in_office
        at += MINUTE
    return at


@dataclass(frozen=True)
class Step:
    """So many people, within so many minutes; `then` the leads have as many more."""

    votes: int
    minutes: int
    then: int = 0
    in_office: bool = False
    writers_too: bool = False


@dataclass
class Said:
    """One person's yes or no, for the step that was open; with `step` None they decided alone."""

    who: str
    at: float
    yes: bool
    step: int | None
    by_leads: bool = False
    is_void: bool = False


@dataclass(frozen=True)
class Open:
    """`people` have said yes in this step, and others are asked until its end."""

    step: int
    by_leads: bool
    until: float
    people: frozenset[str]


@dataclass(frozen=True)
class Agreed:
    """Every step has its people, the last since `at`."""

    at: float


class Refused:
    """Somebody said no."""


class Late:
    """Too few said anything in time."""


@dataclass
class Paper:
    """What waits, whose it is, what was said of it as it is, and who ever wrote something in its place."""

    of: str
    steps: tuple[Step, ...]
    text: bytes
    since: float
    said: list[Said] = field(default_factory=list)
    writers: set[str] = field(default_factory=set)

    def stands(self, now: float) -> Open | Agreed | Refused | Late:
        """Where it stands, from what was said and the time alone."""
        said = [one for one in self.said if not one.is_void]
        for index, one in enumerate(said):
            if one.step is None and isinstance(self._by(said[:index], one.at), Open):
                return Agreed(one.at) if one.yes else Refused()
        return self._by(said, now)

    def _by(self, said: Sequence[Said], now: float) -> Open | Agreed | Refused | Late:
        begin = self.since
        for number, step in enumerate(self.steps):
            turns = later(begin, step.minutes, in_office=step.in_office)
            ends = later(turns, step.then, in_office=step.in_office)
            people: set[str] = set()
            for one in said:
                first, last = (turns, ends) if one.by_leads else (begin, turns)
                if one.step != number or not first <= one.at < last:
                    continue
                if not one.yes:
                    return Refused()
                people.add(one.who)
                if len(people) == step.votes:
                    begin = one.at
                    break
            else:
                return Open(number, now >= turns, ends, frozenset(people)) if now < ends else Late()
        return Agreed(begin)

    def is_open_to(self, who: str, now: float) -> bool:
        """Whether they are asked at all."""
        stands = self.stands(now)
        return isinstance(stands, Open) and who != self.of and (who in LEADS) is stands.by_leads

    def may_say(self, who: str, now: float, *, yes: bool) -> bool:
        """Whether their yes or no counts."""
        stands = self.stands(now)
        if not isinstance(stands, Open) or not self.is_open_to(who, now) or who in stands.people:
            return False
        return not (yes and who in self.writers and not self.steps[stands.step].writers_too)

    def may_decide_alone(self, who: str, now: float, *, yes: bool) -> bool:
        """The same for who may decide without the others."""
        is_writer = yes and who in self.writers
        return isinstance(self.stands(now), Open) and who != self.of and not is_writer

    def say(self, who: str, now: float, *, yes: bool) -> None:
        """They say it; it has to count."""
        stands = self.stands(now)
        assert isinstance(stands, Open)
        self.said.append(Said(who, now, yes, stands.step, stands.by_leads))

    def take_back(self, who: str) -> bool:
        """They take back what they said; whether there was anything."""
        own = [one for one in self.said if one.who == who and not one.is_void]
        for one in own:
            one.is_void = True
        return bool(own)

    def rewrite(self, who: str, text: bytes, now: float) -> None:
        """They put this in its place: nobody has said anything of that."""
        self.text, self.since = text, now
        self.writers.add(who)
        for one in self.said:
            one.is_void = True
