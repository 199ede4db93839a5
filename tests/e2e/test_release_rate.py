"""What is approved at once goes to the model at `holds.release_rate`, through Envoy."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.e2e.people import asking, in_background, said, until
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import Answer, Received, plausible

RATE = 2
HELD = 9


@pytest.fixture
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = CONFIG.replace("holds: {{", f"holds: {{{{release_rate: {RATE}, ")
    with Stack(tmp_path_factory.mktemp("paced"), config=config, wait="5m") as running:
        yield running


def test_approved_requests_reach_the_model_one_after_another_and_the_metric_says_how_many_wait(
    stack: Stack,
) -> None:
    arrivals: list[float] = []

    def note(request: Received) -> Answer:
        arrivals.append(time.monotonic())
        return plausible(request)

    stack.upstream.otherwise = note
    answers = [asking(stack, f"caller-{number}", f"Question {number}") for number in range(HELD)]
    until(lambda: sum(hold["waiting"] for hold in stack.holds()) == HELD, "all of them wait")
    assert to_release(stack) == 0
    began = time.monotonic()
    some_wait = in_background(lambda: until(lambda: to_release(stack), "some wait for their turn"))
    stack.cli("hold", "approve", "--all", "--yes", "--reason", "fine")
    assert some_wait.result(60) < HELD
    assert [said(answer.result(60)) for answer in answers] == ["Hello from upstream."] * HELD
    # The first goes at once, and none before its turn, however slow this machine is.
    turns = sorted(arrival - began for arrival in arrivals)
    assert len(turns) == HELD
    assert [turn for number, turn in enumerate(turns) if turn < (number - 1) / RATE] == []
    assert to_release(stack) == 0


def to_release(stack: Stack) -> float:
    """What the metric says."""
    page = stack.metrics()
    (line,) = [line for line in page.splitlines() if line.startswith("authz_holds_to_release ")]
    return float(line.split()[1])
