"""What people, callers and processes do to two processes on one database, against a small model."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from copy import deepcopy
from itertools import permutations
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.core.agreed import MINUTE
from tests.store.conftest import Fresh
from tests.store.places import START
from tests.store.replicas import KEY, Replicas, sha256
from tests.store.world import World
from tests.store.world_things import PATHS, Held, Stream

from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

BOTH = ("one", "two")
AT = st.sampled_from(BOTH)
ANY = st.integers(0, 99)
ASKS = st.sampled_from(["alice", "alice", "rita"])
PEOPLE = st.sampled_from(["alice", "rita", "sam", "tom", "lea"])
TEXTS = st.sampled_from([b"1", b"2", b"3"])
Try = tuple[str, str, dict[str, Any]]
"""Where, what and how."""


class Machine(RuleBasedStateMachine):
    """Drives the model and the store with the same."""

    fresh: ClassVar[Fresh]
    make: ClassVar[Any]
    came: ClassVar[dict[str, int]]
    """How often what came of it, over all runs: that the machine gets anywhere."""

    @initialize(office=st.booleans())
    def opens(self, office: bool) -> None:
        self.database = ExitStack()
        self.url = self.database.enter_context(type(self).fresh())
        self.loop = asyncio.new_event_loop()
        self.real = Replicas(self.make, self.url)
        self.world = World(dict.fromkeys(BOTH, START))
        for at in BOTH:
            self.run(self.real.open(at))
            self.world.restart(at)
        self.count = 0
        self.turn_clock(
            "one", 8 * 60 - 30 if office else 0
        )  # half an hour before the office closes on a Friday
        self.turn_clock("two", 8 * 60 - 30 if office else 0)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def do(self, *tries: Try) -> Any:
        """Do these at once; what comes of them is what would, were they done in some order."""

        async def together() -> list[Any]:
            return await asyncio.gather(*(self.real.do(at, what, **how) for at, what, how in tries))

        came = self.run(together())
        told = []
        for order in permutations(range(len(tries))):
            world = deepcopy(self.world)
            said = dict(
                zip(order, [world.do(tries[n][0], tries[n][1], **tries[n][2]) for n in order], strict=True)
            )
            told.append([said[n] for n in range(len(tries))])
            if told[-1] == came and self.is_so(world):
                self.world = world
                for (_, what, _), outcome in zip(tries, came, strict=True):
                    self.note(what, outcome)
                self.settle()
                return came[0]
        raise AssertionError(f"{tries}: came {came}, and should have {told}")

    def is_so(self, world: World) -> bool:
        """Whether both show what the model does. Where it is the only order, the difference is shown."""
        looked = deepcopy(world)
        for at in BOTH:
            shown = {
                name: (state, sha256(text), ends, to)
                for name, (state, text, ends, to) in looked.holds_at(at).items()
            }
            if self.run(self.real.holds_at(at)) != shown or self.run(
                self.real.passes_at(at)
            ) != looked.passes_at(at):
                return False
        world.high = looked.high
        return True

    def note(self, what: str, outcome: Any) -> None:
        word = outcome[0] if isinstance(outcome, tuple) else outcome
        self.came[f"{what}: {word}"] = self.came.get(f"{what}: {word}", 0) + 1

    def settle(self) -> None:
        """Who is refused is told so, and that is the end of it."""
        for stream in self.world.streams.values():
            if stream.is_refused and not stream.has_ended:
                self.run(self.real.refuse(stream.at, stream.id))
                stream.has_ended, self.world.last_at = True, self.world.now(stream.at)

    # Callers.

    @rule(
        at=AT, who=ASKS, request=st.sampled_from("ab"), body=TEXTS, path=st.sampled_from([*PATHS]), kind=ANY
    )
    def asks(self, at: str, who: str, request: str, body: bytes, path: str, kind: int) -> None:
        self.do(self.asking(at, who, request, body, path, is_answer=kind % 4 == 0))

    def asking(self, at: str, who: str, request: str, body: bytes, path: str, *, is_answer: bool) -> Try:
        self.count += 1
        name = f"s{self.count}"
        self.world.streams[name] = Stream(name, who, request, body, path, is_answer, at)
        self.real.asked[name] = self.world.streams[name]
        return at, "ask", {"stream": name, "hold": f"h{self.count}"}

    def open_streams(self) -> list[Stream]:
        return [s for s in self.world.streams.values() if not (s.is_out or s.has_ended)]

    def held_streams(self) -> list[Stream]:
        """Those that were held once, whatever became of them, the newest last."""
        return [s for s in self.world.streams.values() if s.hold is not None]

    @precondition(lambda machine: machine.open_streams())
    @rule(n=ANY)
    def is_judged_anew(self, n: int) -> None:
        """Its hold is gone, or another's: it asks again under the same exchange."""
        found = self.open_streams()
        stream = found[-1 - n % len(found)]
        self.count += 1
        self.do((stream.at, "ask", {"stream": stream.id, "hold": f"h{self.count}"}))

    @precondition(lambda machine: machine.open_streams())
    @rule(n=ANY)
    def leaves(self, n: int) -> None:
        found = self.open_streams()
        stream = found[-1 - n % len(found)]
        self.do((stream.at, "leave", {"stream": stream.id, "name": stream.name}))

    @precondition(lambda machine: machine.held_streams())
    @rule(at=AT, n=ANY, comes_late=st.booleans(), asks=st.booleans())
    def envoy_brings_it_elsewhere(self, at: str, n: int, comes_late: bool, asks: bool) -> None:
        found = self.held_streams()
        stream = found[-1 - n % len(found)]
        before = stream.at, stream.name
        self.count += 1
        came = self.do((at, "again", {"stream": stream.id, "name": f"str{self.count}"}))
        if came == "ours" and comes_late:
            self.do((before[0], "leave", {"stream": stream.id, "name": before[1]}))
        if came == "ours" and asks:
            self.do((at, "ask", {"stream": stream.id, "hold": f"h{self.count}"}))

    @precondition(lambda machine: machine.open_streams())
    @rule(at=AT, n=ANY)
    def an_operator_ends_it(self, at: str, n: int) -> None:
        found = self.open_streams()
        self.do((at, "kill", {"stream": found[-1 - n % len(found)].id}))

    def asked_about(self) -> list[Stream]:
        """Those whose request waits for people, so that the rules may be asked about it again."""
        return [s for s in self.held_streams() if not s.is_answer and s.is_waiting and not s.is_refused]

    @precondition(lambda machine: machine.asked_about())
    @rule(at=AT, n=ANY, allows=st.booleans(), is_own=st.sampled_from([True, True, True, False]), all_of=ANY)
    def the_rules_have_no_question_any_more(
        self, at: str, n: int, allows: bool, is_own: bool, all_of: int
    ) -> None:
        """Of one exchange, or of each that waits for the same."""
        found = self.asked_about()
        chosen = found[-1 - n % len(found)]
        same = [stream for stream in found if stream.hold == chosen.hold and stream is not chosen]
        for stream in [chosen, *(same if all_of % 2 else [])]:
            how = {"stream": stream.id, "allows": allows}
            self.do((self.world.streams[stream.id].at if is_own else at, "settle", how))

    @rule(at=AT, text=TEXTS, is_approved=st.booleans(), allows=st.booleans(), is_killed=st.booleans())
    def the_rules_change_under_two_that_wait(
        self, at: str, text: bytes, is_approved: bool, allows: bool, is_killed: bool
    ) -> None:
        """Or few would wait for one hold, or for an approved one; the first may be ended by an operator."""
        request, streams = f"twice {self.count}", []
        for _ in range(2):
            self.do(self.asking(at, "alice", request, text, "one", is_answer=False))
            streams.append(f"s{self.count}")
        if is_approved:
            self.all_vote(at, 0)
        for stream in streams:
            mine = self.world.streams[stream]
            if is_killed and stream == streams[0]:
                self.do((at, "kill", {"stream": stream}))
                if allows and mine.hold:  # the order has not come to the process that has it
                    self.do((at, "settle", {"stream": stream, "allows": True}))
            elif mine.is_waiting and mine.hold:
                self.do((at, "settle", {"stream": stream, "allows": allows}))

    # People.

    def newest(self, n: int) -> Held:
        """One that is there, rather of the last."""
        found = list(self.world.held.values())
        return found[-1 - n % min(len(found), 4)]

    has_holds = precondition(lambda machine: machine.world.held)

    @has_holds
    @rule(at=AT, n=ANY, who=PEOPLE, yes=st.sampled_from([True, True, True, False]), is_stale=st.booleans())
    def votes(self, at: str, n: int, who: str, yes: bool, is_stale: bool) -> None:
        self.do(self.voting(at, self.newest(n), who, yes=yes, is_stale=is_stale))

    def voting(self, at: str, held: Held, who: str, *, yes: bool, is_stale: bool = False) -> Try:
        shown = held.first if is_stale else held.text
        return at, "vote", {"hold": held.id, "who": who, "yes": yes, "shown": shown}

    @has_holds
    @rule(at=AT, n=ANY)
    def all_vote(self, at: str, n: int) -> None:
        """Or few would be approved in time."""
        held = self.newest(n)
        for who in ("rita", "sam", "tom", "lea"):
            if self.world.held[held.id].state(self.world.now(at)) == "pending":
                self.do(self.voting(at, self.world.held[held.id], who, yes=True))

    @has_holds
    @rule(at=AT, n=ANY, who=st.sampled_from(["gus", "alice", "rita"]), yes=st.booleans())
    def decides_alone(self, at: str, n: int, who: str, yes: bool) -> None:
        held = self.newest(n)
        self.do((at, "decide", {"hold": held.id, "who": who, "yes": yes, "shown": held.text}))

    @has_holds
    @rule(at=AT, n=ANY, who=PEOPLE, text=TEXTS, is_stale=st.booleans(), answers=st.booleans())
    def edits(self, at: str, n: int, who: str, text: bytes, is_stale: bool, answers: bool) -> None:
        held = self.newest(n)
        self.do(
            self.editing(at, held, who, text, answers=answers, shown=held.first if is_stale else held.text)
        )

    def editing(self, at: str, held: Held, who: str, text: bytes, *, answers: bool, shown: bytes) -> Try:
        how = {"hold": held.id, "who": who, "text": text, "shown": shown, "answers": answers}
        return at, "edit", how

    @has_holds
    @rule(at=AT, n=ANY, who=PEOPLE)
    def takes_back(self, at: str, n: int, who: str) -> None:
        self.do((at, "withdraw", {"hold": self.newest(n).id, "who": who}))

    # Releases.

    @precondition(lambda machine: machine.held_streams())
    @rule(
        at=AT,
        n=ANY,
        who=PEOPLE,
        text=TEXTS,
        is_edited=st.booleans(),
        is_stale=st.booleans(),
        takes=st.booleans(),
    )
    def goes_all_the_way(
        self, at: str, n: int, who: str, text: bytes, is_edited: bool, is_stale: bool, takes: bool
    ) -> None:
        """What else would seldom come in this order: edited, approved, perhaps taken back, and used."""
        found = self.held_streams()
        stream = found[-1 - n % len(found)]
        held = self.world.held[stream.hold or ""]
        if is_edited:
            self.do(self.editing(at, held, "rita", text, answers=False, shown=held.text))
        for one in ("rita", "sam", "tom", "lea"):
            if self.world.held[held.id].state(self.world.now(at)) == "pending":
                self.do(self.voting(at, self.world.held[held.id], one, yes=True))
        if takes:
            self.do((at, "withdraw", {"hold": held.id, "who": who}))
        self.do(self.using(stream.at, stream, is_stale=is_stale))
        self.do(self.using(at, stream))

    @precondition(lambda machine: machine.held_streams())
    @rule(at=AT, n=ANY, is_own=st.sampled_from([True, True, False]), is_stale=st.booleans())
    def uses_it(self, at: str, n: int, is_own: bool, is_stale: bool) -> None:
        """As the process that has it, or as any."""
        found = self.held_streams()
        stream = found[-1 - n % len(found)]
        self.do(self.using(stream.at if is_own else at, stream, is_stale=is_stale))

    def using(self, at: str, stream: Stream, *, is_stale: bool = False) -> Try:
        held = self.world.held[stream.hold or ""]
        text = held.first if is_stale else held.text
        return at, "use", {"stream": stream.id, "text": text, "is_answer": held.goes_to_caller}

    @has_holds
    @rule(n=ANY, who=PEOPLE, other=PEOPLE, text=TEXTS, what=ANY, at=AT)
    def several_at_once(self, n: int, who: str, other: str, text: bytes, what: int, at: str) -> None:
        """What is done at the same moment, on both or on one of them."""
        held = self.newest(n)
        streams = [s for s in self.held_streams() if s.hold == held.id]
        first = self.voting("one", held, who, yes=True)
        tries: list[Try] = [first, self.voting(at, held, other, yes=what % 3 > 0)]
        if what % 5 == 1:
            tries = [first, self.editing(at, held, other, text, answers=False, shown=held.text)]
        if what % 5 == 2 and streams:
            tries = [self.using(at, streams[-1]), (at, "withdraw", {"hold": held.id, "who": who})]
        if what % 5 == 3 and streams:
            tries = [self.using(a, s) for a, s in zip(("one", "two", at), streams * 3, strict=False)]
        if what % 5 == 4:
            tries.append(self.asking(at, held.of, held.request, text, held.path, is_answer=False))
        self.do(*tries)

    # Grants.

    @has_holds
    @rule(
        at=AT,
        n=ANY,
        who=PEOPLE,
        uses=st.integers(1, 3),
        minutes=st.sampled_from([5, 60]),
        is_for_all=st.booleans(),
        is_stale=st.sampled_from([False, False, True]),
    )
    def proposes(
        self, at: str, n: int, who: str, uses: int, minutes: int, is_for_all: bool, is_stale: bool
    ) -> None:
        held = self.newest(n)
        self.count += 1
        until = deepcopy(self.world).now(at) + minutes * MINUTE + self.count  # no two have the same terms
        how = {"grant": f"g{self.count}", "hold": held.id, "who": who, "uses": uses, "until": until}
        shown = b"other" if is_stale else held.text
        self.do((at, "propose", {**how, "is_for_all": is_for_all, "shown": shown}))

    has_passes = precondition(lambda machine: machine.world.passes)

    @rule(
        at=AT,
        who=ASKS,
        text=TEXTS,
        path=st.sampled_from(["one", "one", "own", "pair"]),
        is_for_all=st.booleans(),
        asks=st.sampled_from(["alice", "rita", "sam"]),
        other=st.sampled_from(["one", "one", "own"]),
    )
    def a_grant_is_made_and_used(
        self, at: str, who: str, text: bytes, path: str, is_for_all: bool, asks: str, other: str
    ) -> None:
        """Or few would be in force."""
        name = f"only {self.count}"
        self.do(self.asking(at, who, name, text, path, is_answer=False))
        self.count += 1
        until = deepcopy(self.world).now(at) + 60 * MINUTE + self.count
        held = list(self.world.held.values())[-1]
        how = {"grant": f"g{self.count}", "hold": held.id, "uses": 2, "until": until, "shown": held.text}
        came = self.do((at, "propose", {**how, "who": "sam", "is_for_all": is_for_all}))
        if came == "done":
            self.do((at, "agree", {"grant": f"g{self.count}", "who": "tom"}))
            for asked in (asks, "alice", asks):
                self.do(self.asking(at, asked, f"{name}, {self.count}", text, other, is_answer=False))

    @has_passes
    @rule(at=AT, n=ANY, who=PEOPLE)
    def agrees(self, at: str, n: int, who: str) -> None:
        found = list(self.world.passes)
        self.do((at, "agree", {"grant": found[-1 - n % len(found)], "who": who}))

    @has_passes
    @rule(at=AT, n=ANY)
    def revokes(self, at: str, n: int) -> None:
        found = list(self.world.passes)
        self.do((at, "revoke", {"grant": found[-1 - n % len(found)]}))

    # Clocks and processes.

    @rule(at=st.sampled_from([*BOTH, "both"]), minutes=st.sampled_from([1, 9, 20, 31, 60, 960, -10, -600]))
    def clocks_jump(self, at: str, minutes: int) -> None:
        for one in BOTH if at == "both" else (at,):
            self.turn_clock(one, minutes)

    @rule(at=AT, minutes=st.sampled_from([31, 60, 960, 5000]))
    def a_clock_goes_forth_and_back(self, at: str, minutes: int) -> None:
        """What was read as over stays so, before anything of it is on record."""
        for by in (minutes, -minutes):
            self.turn_clock(at, by)
            assert self.is_so(self.world)

    def turn_clock(self, at: str, minutes: int) -> None:
        self.world.clocks[at] += minutes * MINUTE
        self.real.places[at].clock.time = self.world.clocks[at]

    @rule(at=AT)
    def sweeps(self, at: str) -> None:
        self.run(self.real.stores[at].expire_overdue())
        self.world.sweep(at)
        self.reads_last()

    @rule(at=AT, recovers=st.booleans())
    def dies_and_starts_again(self, at: str, recovers: bool) -> None:
        self.run(self.real.close(at))
        self.run(self.real.open(at))
        self.world.restart(at)
        if recovers:
            self.run(self.real.stores[at].recover())
            self.world.recover(at)
            self.reads_last()

    def reads_last(self) -> None:
        """When the last entry was recorded: some tell only of turns, which change nothing."""
        store = self.real.stores["one"]
        last = self.run(store.last_sequence())
        if last:
            self.world.last_at = self.run(store.entries_after(last - 1))[0].at
        assert self.is_so(self.world)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.all_is_on_record()
        finally:
            self.run(self.real.stop())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()
            self.database.close()

    def all_is_on_record(self) -> None:
        """What went out by the model is what the record says, and the record is whole."""
        store = self.real.stores["one"]
        grants = {made.id: name for name, made in self.real.grants.items()}
        out = []
        for stream in self.world.streams:
            for entry in self.run(store.entries(stream)):
                if entry.kind in ("request.released", "answer.released"):
                    by = entry.data.get("grant") or entry.data.get("hold", "the rules")
                    out.append((stream, grants.get(str(by), by), entry.payloads["body"]))
        assert sorted(out) == sorted(self.world.out)
        assert len({name for name, _, _ in out}) == len(out)
        with reading(self.url) as reader:
            wrong = verify_store(reader, keys=[KEY.vkey], kept=()).wrong
        assert wrong == [], wrong


def goes(fresh: Fresh, make: Any, *, examples: int, steps: int) -> dict[str, int]:
    """Run it; how often each outcome came."""
    Machine.fresh, Machine.make, Machine.came = staticmethod(fresh), make, {}
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
    return Machine.came
