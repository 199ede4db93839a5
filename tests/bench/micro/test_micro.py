"""Micro-benches run without Envoy, and their figures are told on the terminal, on the page and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.micro.figure import Figure, Room, cpu_seconds_each
from bench.micro.suite import SUITE
from bench.page import as_json, on_terminal, page
from bench.plan import Plan
from bench.run import carry_out

from authz_service.masking.detectors import build_scanner
from bench.micro import detection
from bench.peers import detecting


def two_figures(room: Room) -> Iterator[Figure]:
    (room.folder / "scratch").touch()
    yield Figure("room", room.seconds, "s")
    yield Figure("another", 1234567.0, "a second")


def test_a_plan_may_have_micro_benches_only(tmp_path: Path) -> None:
    said: list[str] = []
    outcome = carry_out(Plan(micro={"part": two_figures}, seconds=0.5), tmp_path, said.append)
    assert said == ["measuring part"]
    for text in (on_terminal(outcome), page(outcome, day="2026-01-01", charts={})):
        assert "| part | room    |       0.5 |        s |" in text
        assert "| part | another | 1.235e+06 | a second |" in text
        assert "requests/s" not in text
    assert json.loads(as_json(outcome))["micro"]["part"][1]["value"] == 1234567.0


def test_a_plan_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a micro-bench"):
        Plan()


def test_each_call_is_timed_on_the_cpu_of_this_process() -> None:
    quick = cpu_seconds_each(lambda: sum(range(1_000)), seconds=0.05)
    slow = cpu_seconds_each(lambda: sum(range(100_000)), seconds=0.05)
    assert 0 < 10 * quick < slow


@pytest.mark.parametrize("name", SUITE)
def test_every_micro_bench_yields_figures_of_its_own(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detecting, "installed", lambda name: None)  # those of others take long to start
    figures = list(SUITE[name](Room(seconds=0.001, folder=tmp_path)))
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.value > 0 and figure.unit for figure in figures)


def test_how_long_deltas_wait_is_told_from_what_is_held_back() -> None:
    # Of 4 characters each: the second waits for the third, and the fourth with all that follows goes at once.
    held = [0, 4, 0, *[0] * 100]
    assert detection._waited(held) == [0, 1, 0]


def test_the_first_text_comes_when_a_first_character_is_settled() -> None:
    deltas = ["jane", "@exa", "mple", ".com", " or ", *["so, "] * 200]
    late = detection._late(build_scanner(["EMAIL_ADDRESS"]), deltas)
    assert late[0] == 5
    assert set(late[1:]) == {1}


def test_the_command_runs_what_is_named_and_nothing_else() -> None:
    command = [sys.executable, "-m", "bench", "--quick", "--seconds", "0.1", "--micro", "framing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "measuring framing\n"
    assert "| framing |" in done.stdout
