"""Carries out a plan: brings the cases up, gives them the loads in turn, collects what was measured."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.gateways import Gateway, gateways
from bench.load import LAST_ANSWER_SECONDS
from bench.machine import facts
from bench.plan import Case, Load, Plan
from bench.results import Turns
from bench.turn import Job, Measured

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A run that is over."""

    plan: Plan
    machine: dict[str, str]
    turns: Turns


class LoadFailed(RuntimeError):
    """A turn brought no right answer; the message says what came."""


def carry_out(plan: Plan, folder: Path, say: Say) -> Outcome:
    """Measure; the files of the run lie in `folder`. `say` is told what happens.

    The cases take turns within each round, so that what else the machine does falls on all of them.
    """
    turns: dict[tuple[Load, Case], list[Measured]] = {(ld, c): [] for ld in plan.loads for c in plan.cases}
    machine = facts(folder)
    say(f"starting {', '.join(plan.cases)}")
    with gateways(plan.cases, folder) as running:
        for number in range(1, plan.rounds + 1):
            say(f"round {number} of {plan.rounds}")
            for load, case in turns:
                turns[load, case].append(_turn(plan, load, case, running[case]))
    return Outcome(plan, machine, turns)


def _turn(plan: Plan, load: Load, case: Case, gateway: Gateway) -> Measured:
    job = Job(
        port=gateway.port,
        token=gateway.token,
        shape=load.shape,
        connections=load.connections,
        warm_up=plan.warm_up,
        seconds=plan.seconds,
        is_masked=case.is_ours,
        pids=gateway.pids,
    )
    done = subprocess.run(
        (sys.executable, "-m", "bench.load"),
        input=json.dumps(dataclasses.asdict(job)),
        capture_output=True,
        text=True,
        check=False,
        timeout=plan.warm_up + plan.seconds + LAST_ANSWER_SECONDS + 20,
    )
    if done.returncode:
        raise LoadFailed(f"{case}, {load.title}: {done.stderr.strip().splitlines()[-1]}")
    return Measured(**json.loads(done.stdout))
