"""The bench of holds runs whole at a small size, and its parts count rightly."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from bench.holds.arrivals import Arrivals
from bench.holds.crowd import BODY, request_of


def test_requests_have_4_kb_and_differ() -> None:
    first, second = request_of(0), request_of(4999)
    assert first != second
    assert len(first) == len(second) == BODY
    assert json.loads(first)["messages"][0]["content"].startswith("case-000000-")


def test_the_busiest_second_and_what_came_twice_are_counted() -> None:
    arrivals = Arrivals()
    for number, at in enumerate((0.0, 0.4, 0.9, 1.5, 3.0, 1.5)):
        arrivals.note(number % 5, at)
    assert arrivals.repeated == 1
    assert Arrivals(dict(enumerate((0.0, 0.4, 0.9, 1.5, 3.0)))).busiest_second() == 3


@pytest.mark.parametrize(
    ("options", "together"),
    [
        (["--at-once", "20"], 37),
        pytest.param(["--workers", "2"], 37, marks=pytest.mark.postgres),
        pytest.param(["--hosts"], 36, marks=pytest.mark.postgres),  # two on each host before
    ],
    ids=["SQLite", "workers", "hosts"],
)
def test_forty_holds_are_opened_listed_released_and_none_fails(options: list[str], together: int) -> None:
    command = [sys.executable, "-m", "bench.holds", "--holds", "40", "--one-by-one", "3", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert "40 of 40 held" in done.stdout, done.stderr
    assert f"{together} approved at once" in done.stdout
    assert "under a grant, to model" in done.stdout
    assert "show beside 50 earlier" in done.stdout, done.stdout
    assert ["failures", "none"] in [line.split(maxsplit=1) for line in done.stdout.splitlines()]
