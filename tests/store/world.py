"""Requests, people, grants, streams and clocks as a store has to see them: what may go out, and when.

A small model for the machines, of nothing but dictionaries: it says of each thing that is tried what has to
come of it. No code of the product's decides in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.core.agreed import LEADS, Agreed, Refused, Said
from tests.store.world_things import NO, PATHS, REFUSED_FOR, USE_WITHIN, Held, Pass, Stream


@dataclass
class World:
    """All of it; `clocks` and `high` are of each process: what it was told, and the latest it acted upon."""

    clocks: dict[str, float]
    high: dict[str, float] = field(default_factory=dict)
    last_at: float = 0.0
    held: dict[str, Held] = field(default_factory=dict)
    passes: dict[str, Pass] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    out: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Each release: of which exchange, by which hold or grant, with which bytes."""

    def now(self, at: str) -> float:
        """What time a process has it: never behind what it knows, or what is on record."""
        self.high[at] = max(self.high.get(at, 0.0), self.clocks[at], self.last_at)
        return self.high[at]

    def do(self, at: str, what: str, **how: Any) -> Any:
        """What comes of it; what is refused leaves no trace."""
        now = self.now(at)
        work: Callable[..., Any] = getattr(self, f"_{what}")
        outcome = work(at, now, **how)
        if outcome not in (NO, False, "taken_up", "session_killed"):
            self.last_at = now
        return outcome

    # Requests.

    def _ask(self, at: str, now: float, *, stream: str, hold: str) -> Any:
        """Ask for a hold; `hold` is the name of a new one."""
        mine = self.streams[stream]
        if mine.at != at:
            return "taken_up"
        if mine.is_killed:
            return "session_killed"
        found = self.latest(mine)
        is_there = found is not None and (found.path, found.first) == (mine.path, mine.body)
        if found is not None and mine.is_answer and found.first == mine.body:
            is_there = True  # the path is for the first to say
        state = "" if found is None else found.state(now)
        if found is not None and is_there and state == "approved":
            return self._attach(mine, found)
        is_told = found is not None and state == "rejected" and now < found.refused_until
        if is_told:
            mine.is_refused = True
            return "rejected"
        grant = self._covering(mine, now)
        if grant is not None and not (
            found is not None and is_there and state == "pending" and found.writers
        ):
            self._end(found, now)
            self.passes[grant].used += 1
            mine.is_out = True
            self.out.append((mine.id, grant, mine.body))
            return "granted", grant
        if found is not None and is_there and state == "pending":
            return self._attach(mine, found)
        self._end(found, now)
        self.held[hold] = Held(
            mine.of,
            PATHS[mine.path],
            mine.body,
            now,
            id=hold,
            request=mine.request,
            path=mine.path,
            first=mine.body,
            is_answer=mine.is_answer,
            goes_to_caller=mine.is_answer,
        )
        mine.hold = hold
        return "opened"

    def latest(self, stream: Stream) -> Held | None:
        """The last hold of the same person's same request, or of the answer to it."""
        key = (stream.of, stream.request, stream.is_answer)
        same = [held for held in self.held.values() if (held.of, held.request, held.is_answer) == key]
        return same[-1] if same else None

    def _attach(self, stream: Stream, found: Held) -> Any:
        stream.hold = found.id
        return "attached", found.id

    def _covering(self, stream: Stream, now: float) -> str | None:
        found = [(one.until, name) for name, one in self.passes.items() if one.covers(stream, now)]
        return min(found)[1] if found else None

    def _end(self, found: Held | None, now: float) -> None:
        if found is not None and not found.over:
            found.over = "expired" if found.state(now) == "expired" else "superseded"

    def _use(self, at: str, now: float, *, stream: str, text: bytes, is_answer: bool) -> Any:
        """Use the approval of what waits for this exchange, which has these bytes in hand."""
        mine = self.streams[stream]
        held = self.held[mine.hold or ""]
        if held.state(now) != "approved" or text != held.text:
            return False
        if mine.at != at:
            return "taken_up"
        if mine.is_killed:
            return "session_killed"
        held.over, held.released_to, mine.is_out = "released", stream, True
        mine.has_ended |= is_answer
        self.out.append((stream, held.id, held.text))
        return True

    def _leave(self, at: str, now: float, *, stream: str, name: str) -> Any:
        """A process records that the caller left, for the stream that it knows by this name."""
        mine = self.streams[stream]
        if (mine.at, mine.name) != (at, name):
            return "taken_up"
        mine.has_ended = True
        return "done"

    def _again(self, at: str, now: float, *, stream: str, name: str) -> Any:
        """Envoy brings the exchange to a process, on another stream."""
        mine = self.streams[stream]
        if mine.hold is None or mine.is_out or mine.is_killed or mine.is_refused:
            return NO
        mine.at, mine.name, mine.has_ended = at, name, False
        return "ours"

    def _settle(self, at: str, now: float, *, stream: str, allows: bool) -> Any:
        """The rules have no question about it any more: they deny it, or let it through as it is."""
        mine = self.streams[stream]
        if mine.at != at:
            return "taken_up"
        if mine.is_killed and allows:
            return "session_killed"
        held = self.held[mine.hold or ""]
        mine.hold, mine.is_out, mine.has_ended = None, allows, not allows
        self.out += [(stream, "the rules", mine.body)] if allows else []
        is_left = not self._waiting(held)
        if is_left and held.state(now) in ("pending", *(["approved"] if allows else [])):
            held.over = "superseded"
        return "done"

    def _waiting(self, held: Held) -> list[Stream]:
        return [stream for stream in self.streams.values() if stream.hold == held.id and stream.is_waiting]

    def _kill(self, at: str, now: float, *, stream: str) -> Any:
        mine = self.streams[stream]
        if mine.has_ended:
            return NO
        mine.is_killed = True
        held = self.held.get(mine.hold or "")
        if held is not None and held.state(now) in ("pending", "approved") and not self._waiting(held):
            held.over = "killed"
        return "done"

    # People.

    def _vote(self, at: str, now: float, *, hold: str, who: str, yes: bool, shown: bytes) -> Any:
        held = self.held[hold]
        if held.state(now) != "pending" or shown != held.text or not held.may_say(who, now, yes=yes):
            return NO
        held.say(who, now, yes=yes)
        return self._decided(held, now)

    def _decide(self, at: str, now: float, *, hold: str, who: str, yes: bool, shown: bytes) -> Any:
        """Alone."""
        held = self.held[hold]
        if held.state(now) != "pending" or shown != held.text or not held.may_decide_alone(who, now, yes=yes):
            return NO
        held.said.append(Said(who, now, yes, None))
        return self._decided(held, now)

    def _decided(self, held: Held, now: float) -> str:
        match held.stands(now):
            case Agreed():
                held.use_by = now + USE_WITHIN
            case Refused():
                held.over, held.refused_until = "rejected", now + REFUSED_FOR
        return "done"

    def _withdraw(self, at: str, now: float, *, hold: str, who: str) -> Any:
        held = self.held[hold]
        if held.state(now) not in ("pending", "approved") or not held.take_back(who):
            return NO
        if held.state(now) == "expired":
            held.over = "expired"
        return "done"

    def _edit(
        self, at: str, now: float, *, hold: str, who: str, text: bytes, shown: bytes, answers: bool
    ) -> Any:
        """Write something in the place of what waits; with `answers` in that of the model's answer."""
        held = self.held[hold]
        if held.state(now) != "pending" or shown != held.text or not held.is_open_to(who, now):
            return NO
        held.rewrite(who, text, now)
        held.goes_to_caller = answers or held.is_answer
        return "done"

    # Grants.

    def _propose(
        self,
        at: str,
        now: float,
        *,
        grant: str,
        hold: str,
        who: str,
        uses: int,
        until: float,
        is_for_all: bool,
        shown: bytes,
    ) -> Any:
        held = self.held[hold]
        is_seen = shown == held.text
        if not self._is_source(held, now) or not is_seen or who == held.of or who in LEADS or until <= now:
            return NO
        made = Pass(
            held.of,
            held.steps,
            b"",
            now,
            hold=hold,
            path=held.path,
            is_for_all=is_for_all,
            uses=uses,
            until=until,
        )
        made.say(who, now, yes=True)
        self.passes[grant] = made
        self._let_through(made, now)
        return "done"

    def _agree(self, at: str, now: float, *, grant: str, who: str) -> Any:
        made = self.passes[grant]
        is_proposed = made.state(now) == "proposed" and self._is_source(self.held[made.hold], now)
        if not is_proposed or not made.may_say(who, now, yes=True):
            return NO
        made.say(who, now, yes=True)
        self._let_through(made, now)
        return "done"

    def _is_source(self, held: Held, now: float) -> bool:
        is_known = held.state(now) in ("pending", "approved", "released")
        return is_known and not held.is_answer and not held.writers

    def _let_through(self, made: Pass, now: float) -> None:
        """Who waits for what the grant was made from does not need to any more."""
        held = self.held[made.hold]
        asks = Stream("", held.of, "", b"", held.path, is_answer=False, at="")
        is_new = isinstance(made.stands(now), Agreed)
        if is_new and held.state(now) == "pending" and self._covering(asks, now) is not None:
            held.over = "superseded"

    def _revoke(self, at: str, now: float, *, grant: str) -> Any:
        made = self.passes[grant]
        if made.state(now) not in ("proposed", "active"):
            return NO
        made.is_revoked = True
        return "done"

    # Processes.

    def restart(self, at: str) -> None:
        """It knows then what is on record, and no more; that it has started is."""
        self.high[at] = self.last_at
        self.last_at = self.now(at)

    def recover(self, at: str) -> None:
        """The exchanges that it had before have ended."""
        for stream in self.streams.values():
            if stream.at == at:
                stream.has_ended = True

    def sweep(self, at: str) -> None:
        """What is overdue is so for all."""
        now = self.now(at)
        for held in self.held.values():
            if held.state(now) == "expired":
                held.over = "expired"

    def holds_at(self, at: str) -> dict[str, tuple[Any, ...]]:
        """Each hold as that process has to read it: its state, its bytes, when it ends, to whom it went."""
        now = self.now(at)
        return {
            name: (
                held.state(now),
                held.text,
                held.ends(now) if held.state(now) in ("pending", "approved") else None,
                held.released_to,
            )
            for name, held in self.held.items()
        }

    def passes_at(self, at: str) -> dict[str, tuple[str, int]]:
        """Each grant: its state, and how often it was used."""
        now = self.now(at)
        return {name: (one.state(now), one.used) for name, one in self.passes.items()}
