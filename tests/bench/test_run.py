"""A run goes on without a peer that fails, and tells what peers get wrong; anything else of ours ends it.

The cases here have no gateway: their load goes straight to the bench's model server.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from bench.case import Case, Gateway, Kind, Site
from bench.page import as_json, is_void, on_terminal, page
from bench.plan import Load, Plan, Shape
from bench.processes import NotStarted
from bench.run import LoadFailed, Outcome, carry_out
from bench.turn import Measured

from authz_service.proxy.probes import free_port

WHOLE, STREAMED, PACED = (Load(shape, 2) for shape in (Shape.WHOLE, Shape.STREAMED, Shape.PACED))


@contextmanager
def to_the_model(site: Site) -> Iterator[Gateway]:
    yield Gateway(site.model_port, "", {"model": site.model_pid, "service": site.model_pid})


@contextmanager
def to_nobody(site: Site) -> Iterator[Gateway]:
    yield Gateway(free_port(), "", {"model": site.model_pid})


def not_installed(_site: Site) -> AbstractContextManager[Gateway]:
    raise NotStarted("pip said much\nand this at last")


DIRECT = Case("direct", "Direct", "straight", Kind.DIRECT, to_the_model)
LEAKS = Case("leaks", "Leaks", "masks nothing", Kind.PEER, to_the_model, is_masked=True)
SILENT = Case("silent", "Silent", "answers nothing", Kind.PEER, to_nobody)
ABSENT = Case("absent", "Absent", "is not there", Kind.PEER, not_installed)


def test_a_run_goes_on_without_peers_that_fail_and_says_why(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = carry_out(plan(SILENT, ABSENT, DIRECT, rounds=2), tmp_path, said.append)
    assert set(outcome.missing) == {SILENT, ABSENT}
    assert outcome.missing[ABSENT] == "and this at last"
    assert {case for _, case in outcome.turns} == {DIRECT}
    assert len(outcome.turns[WHOLE, DIRECT]) == 2
    assert "- Absent: and this at last" in page(outcome, day="2026-01-01", charts={})
    assert "- Absent: and this at last" in on_terminal(outcome)
    assert '"absent": "and this at last"' in as_json(outcome)
    assert any("going on without Absent" in line for line in said)


@pytest.mark.parametrize(("start", "error"), [(not_installed, NotStarted), (to_nobody, LoadFailed)])
def test_a_run_ends_when_a_case_that_is_no_peer_fails(
    tmp_path: Path, start: object, error: type[Exception]
) -> None:
    ours = Case("ours", "Ours", "", Kind.OURS, start)  # type: ignore[arg-type] # either of the two above
    with pytest.raises(error):
        carry_out(plan(ours), tmp_path, lambda _: None)


def test_what_a_peer_lets_through_is_told_beside_its_speed(tmp_path: Path) -> None:
    outcome = carry_out(plan(DIRECT, LEAKS, loads=(WHOLE, STREAMED)), tmp_path, lambda _: None)
    for load in (WHOLE, STREAMED):
        for turn in outcome.turns[load, LEAKS]:
            assert turn.requests > 0
            assert turn.wrong == turn.seen
            assert dict(turn.faults) == {"client saw it": turn.wrong, "model saw it": turn.wrong}
    assert all(turn.wrong == 0 for turn in outcome.turns[WHOLE, DIRECT])
    text = page(outcome, day="2026-01-01", charts={})
    assert "| streamed, 2 at a time | Leaks" in text.partition("## Wrong answers")[2].partition("## Aims")[0]
    assert not is_void(outcome)
    assert is_void(with_kind(outcome, Kind.OURS))


def test_a_paced_turn_has_the_time_between_tokens_and_what_each_program_takes(tmp_path: Path) -> None:
    outcome = carry_out(plan(DIRECT, loads=(WHOLE, PACED)), tmp_path, lambda _: None)
    for turn in outcome.turns[PACED, DIRECT]:
        assert turn.requests == 2
        assert 0 < turn.between_p50 <= turn.between_p95 <= turn.between_p99
        assert all(turn.cpu[name] > 0 and turn.rss[name] > 0 for name in ("model", "service", "load"))
        assert turn.peak_rss["model"] >= turn.rss["model"]
    assert outcome.turns[WHOLE, DIRECT][0].between_p50 == 0


def test_times_are_those_of_a_turn_in_which_nothing_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To count took as much CPU as the floor does, which then seemed closer than it was."""
    loads: list[bool] = []

    def load(command: Sequence[str], *, input: str, **_options: object) -> subprocess.CompletedProcess[str]:
        is_counted = json.loads(input)["has_instructions"]
        loads.append(is_counted)
        done = replace(
            MEASURED,
            cpu={"service": 9.0 if is_counted else 1.0},
            instructions={"service": 7.0} if is_counted else {},
            wrong=2 if is_counted else 1,
            faults={"failed": 2} if is_counted else {"failed": 1, "altered": 1},
        )
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps(asdict(done)), stderr="")

    stand_in = SimpleNamespace(run=load, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr("bench.run.subprocess", stand_in)
    both = replace(plan(DIRECT), has_instructions=True)
    (turn,) = carry_out(both, tmp_path, lambda _: None).turns[WHOLE, DIRECT]
    assert loads == [False, True]
    assert (turn.cpu, turn.instructions) == ({"service": 1.0}, {"service": 7.0})
    assert (turn.seen, turn.wrong, turn.faults) == (20, 3, {"failed": 3, "altered": 1})


MEASURED = Measured(
    requests=10,
    seen=10,
    wrong=0,
    seconds=1.0,
    p50=0.001,
    p99=0.002,
    first_event=0.0,
    first_text=0.0,
    between_p50=0.0,
    between_p95=0.0,
    between_p99=0.0,
    cpu={},
    rss={},
    peak_rss={},
    instructions={},
    faults={},
)


def plan(*cases: Case, loads: tuple[Load, ...] = (WHOLE,), rounds: int = 1) -> Plan:
    return Plan(cases=cases, loads=loads, rounds=rounds, warm_up=0.05, seconds=0.1)


def with_kind(outcome: Outcome, kind: Kind) -> Outcome:
    case = Case(LEAKS.name, LEAKS.title, LEAKS.about, kind, LEAKS.start, is_masked=True)
    turns = {(load, case): measured for (load, _), measured in outcome.turns.items()}
    return Outcome(plan(case), outcome.machine, turns, {}, {})
