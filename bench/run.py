"""Carries out a plan: brings the cases up, gives them the loads in turn, collects what was measured."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.case import Case, Gateway, Kind, Site
from bench.load import LAST_ANSWER_SECONDS, LONGEST_TURN_SECONDS
from bench.machine import facts
from bench.micro.figure import Figure, Micro, Room
from bench.plan import Load, Plan
from bench.processes import NotStarted, program
from bench.results import Turns
from bench.turn import Job, Measured

from authz_service.proxy.probes import accepts, free_port

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is over. `missing` are the peers that could not be measured, or not to the end, and why.

    `micro` has the figures of each micro-bench by its name.
    """

    plan: Plan
    machine: Mapping[str, str]
    turns: Turns
    missing: Mapping[Case, str]
    micro: Mapping[str, Sequence[Figure]]


class LoadFailed(RuntimeError):
    """A turn brought no answer; the message says what came."""


def carry_out(plan: Plan, folder: Path, say: Say) -> Outcome:
    """Measure; the files of the run lie in `folder`. `say` is told what happens.

    The cases take turns within each round, so that what else the machine does falls on all of them. All of
    them run all the time, and wait. A peer that fails is left out from there on; raises `NotStarted` or
    `LoadFailed` for any other.
    """
    machine = facts(folder)
    missing: dict[Case, str] = {}
    turns = _take_turns(plan, folder, missing, say) if plan.cases else {}
    micro = {name: _measure(name, bench, plan, folder, say) for name, bench in plan.micro.items()}
    return Outcome(plan, machine, turns, missing, micro)


def _take_turns(plan: Plan, folder: Path, missing: dict[Case, str], say: Say) -> Turns:
    turns: dict[tuple[Load, Case], list[Measured]] = {(ld, c): [] for ld in plan.loads for c in plan.cases}
    with _model(folder) as site, ExitStack() as stack:
        running = {}
        for case in plan.cases:
            say(f"starting {case.title}")
            with _going_on_without(case, missing, say):
                running[case] = stack.enter_context(case.start(_for(case, site)))
        for number in range(1, plan.rounds + 1):
            say(f"round {number} of {plan.rounds}")
            for load, case in turns:
                if case in missing:
                    continue
                with _going_on_without(case, missing, say):
                    turns[load, case].append(_turn(plan, load, case, running[case]))
    return {at: measured for at, measured in turns.items() if measured}


def _measure(name: str, bench: Micro, plan: Plan, folder: Path, say: Say) -> list[Figure]:
    say(f"measuring {name}")
    room = Room(plan.seconds, folder / f"micro-{name}")
    room.folder.mkdir(mode=0o700)
    return list(bench(room))


@contextmanager
def _going_on_without(case: Case, missing: dict[Case, str], say: Say) -> Iterator[None]:
    try:
        yield
    except (NotStarted, LoadFailed) as error:
        if case.kind is not Kind.PEER:
            raise
        missing[case] = str(error).strip().splitlines()[-1]
        say(f"going on without {case.title}: {error}")


@contextmanager
def _model(folder: Path) -> Iterator[Site]:
    port = free_port()
    command = (sys.executable, "-m", "bench.model", str(port))
    ready = lambda: accepts("127.0.0.1", port)  # noqa: E731 - a name for an argument
    with program(command, log=folder / "model.log", is_ready=ready) as model:
        yield Site(folder, port, model.pid)


def _for(case: Case, site: Site) -> Site:
    folder = site.folder / case.name
    folder.mkdir(mode=0o700)
    return dataclasses.replace(site, folder=folder)


def _turn(plan: Plan, load: Load, case: Case, gateway: Gateway) -> Measured:
    """One turn; where instructions are counted, with what a second one counted.

    To count takes CPU at each switch between threads: times and CPU are those of a turn without.
    """
    measured = _answered(plan, load, case, gateway, has_instructions=False)
    if not plan.has_instructions:
        return measured
    counted = _answered(plan, load, case, gateway, has_instructions=True)
    return dataclasses.replace(
        measured,
        instructions=counted.instructions,
        seen=measured.seen + counted.seen,
        wrong=measured.wrong + counted.wrong,
        faults=dict(Counter(measured.faults) + Counter(counted.faults)),
    )


def _answered(plan: Plan, load: Load, case: Case, gateway: Gateway, *, has_instructions: bool) -> Measured:
    job = Job(
        port=gateway.port,
        token=gateway.token,
        shape=load.shape,
        connections=load.connections,
        warm_up=plan.warm_up,
        seconds=plan.seconds,
        is_masked=case.is_masked,
        has_instructions=has_instructions,
        pids=gateway.pids,
        parts=gateway.parts,
    )
    longest = plan.warm_up + plan.seconds + 2 * (LONGEST_TURN_SECONDS + LAST_ANSWER_SECONDS) + 20
    try:
        done = subprocess.run(
            (sys.executable, "-m", "bench.load"),
            input=json.dumps(dataclasses.asdict(job)),
            capture_output=True,
            text=True,
            check=False,
            timeout=longest,
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{case.title}, {load.title}: not over after {longest:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"the load ended with {done.returncode}"]
        raise LoadFailed(f"{case.title}, {load.title}: {said[-1]}")
    return Measured(**json.loads(done.stdout))
