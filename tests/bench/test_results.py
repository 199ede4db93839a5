"""Cases are compared round by round, and aims are held against what was measured."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from bench.aims import LITELLM, verdicts
from bench.case import Case, Gateway, Kind, Site
from bench.micro.figure import Figure as Measure
from bench.micro.figure import commit_alone
from bench.plan import MANY, Load, Plan, Shape
from bench.results import added, ratio, rows, wrong
from bench.run import Outcome
from bench.tables import instructions
from bench.turn import Measured


def nowhere(_site: Site) -> AbstractContextManager[Gateway]:
    raise NotImplementedError


def case(name: str, kind: Kind) -> Case:
    return Case(name, name.title(), "", kind, nowhere)


DIRECT, FLOOR = case("direct", Kind.DIRECT), case("floor", Kind.FLOOR)
OURS = replace(case("ours", Kind.OURS), is_masked=True)
UNMASKED, PEER = case("unmasked", Kind.OURS), case(LITELLM, Kind.PEER)
WHOLE = Load(Shape.WHOLE, 1)


def measured(requests: int, p50: float, *, wrong: int = 0, cpu: float = 0.001) -> Measured:
    return Measured(
        requests=requests,
        seen=2 * requests,
        wrong=wrong,
        seconds=1.0,
        p50=p50,
        p99=p50,
        first_event=p50,
        first_text=p50,
        between_p50=0.02,
        between_p95=0.02,
        between_p99=0.02,
        cpu={"envoy": cpu, "service": 3 * cpu, "model": 1.0, "load": 1.0},
        rss={"envoy": 2**20},
        peak_rss={"envoy": 2**21},
        instructions={"envoy": 2000.0, "service": 6000.0} if requests < 100 else {},
        faults={"failed": wrong} if wrong else {},
    )


def test_cases_are_compared_round_by_round() -> None:
    turns = {
        (WHOLE, DIRECT): [measured(100, 0.001), measured(10, 0.010)],
        (WHOLE, FLOOR): [measured(50, 0.002), measured(5, 0.012)],
    }
    assert ratio(turns, WHOLE, FLOOR, DIRECT, lambda m: m.per_second) == 0.5
    assert added(turns, WHOLE, FLOOR, DIRECT, lambda m: m.p50) == pytest.approx(1.5)
    assert ratio(turns, WHOLE, OURS, DIRECT, lambda m: m.p50) is None
    assert added(turns, WHOLE, OURS, DIRECT, lambda m: m.p50) is None


def test_a_case_that_stopped_early_is_compared_with_the_rounds_that_it_had() -> None:
    turns = {
        (WHOLE, DIRECT): [measured(100, 0.001), measured(1, 1.0)],
        (WHOLE, PEER): [measured(50, 0.002)],
    }
    assert ratio(turns, WHOLE, PEER, DIRECT, lambda m: m.per_second) == 0.5


def test_a_row_has_the_part_of_wrong_answers_and_the_cpu_of_the_gateway_alone() -> None:
    load = Load(Shape.STREAMED, 1)
    (row,) = rows({(load, PEER): [measured(10, 0.001, wrong=5), measured(10, 0.001)]})
    assert row.wrong == pytest.approx(5 / 40)
    assert row.faults == {"failed": 5}
    assert row.gateway_cpu == pytest.approx(4000)
    assert row.events_per_second == pytest.approx(10 * 103)
    assert row.instructions == {"envoy": 2.0, "service": 6.0}
    assert (row.rss, row.peak_rss) == ({"envoy": 1.0}, {"envoy": 2.0})


def test_instructions_are_told_beside_the_floor_s_where_they_were_counted() -> None:
    turns = {(WHOLE, FLOOR): [measured(10, 0.001)], (WHOLE, OURS): [measured(10, 0.001)]}
    text = instructions(Outcome(Plan(cases=(FLOOR, OURS)), {}, turns, {}, {}))
    assert "| Ours    |     2 |       6 |        8 |              1.00 |" in text
    assert instructions(Outcome(Plan(cases=(FLOOR,)), {}, {(WHOLE, FLOOR): [measured(100, 1)]}, {}, {})) == ""


def test_wrong_answers_are_counted_for_each_case() -> None:
    turns = {(WHOLE, PEER): [measured(10, 0.001, wrong=5)], (WHOLE, OURS): [measured(10, 0.001)]}
    assert (wrong(turns, PEER), wrong(turns, OURS)) == (5, 0)


def test_an_aim_is_met_or_missed_by_what_was_measured() -> None:
    many = Load(Shape.WHOLE, MANY)
    turns = {
        (many, FLOOR): [measured(100, 0.001, cpu=0.001)],
        (many, OURS): [measured(60, 0.001, cpu=0.001 / 0.69)],
        (many, PEER): [measured(6, 0.001)],
    }
    floor, litellm = verdicts(turns)
    assert (floor.is_met, floor.reached) == (False, "69%")
    assert (litellm.is_met, litellm.reached) == (True, "10.0 times")
    better = {**turns, (many, OURS): [measured(59, 0.001, cpu=0.001 / 0.71)]}
    assert [verdict.is_met for verdict in verdicts(better)] == [True, False]


def test_masking_is_held_against_the_same_service_without_masks() -> None:
    paced = Load(Shape.PACED, 1)
    turns = {(paced, OURS): [measured(1, 0.030)], (paced, UNMASKED): [measured(1, 0.021)]}
    assert [(v.case, v.is_met, v.reached) for v in verdicts(turns)] == 2 * [("Ours", True, "9.00 ms")]
    late = {**turns, (paced, OURS): [replace(measured(1, 0.030), first_text=0.032)]}
    assert [verdict.is_met for verdict in verdicts(late)] == [True, False]


def test_nothing_is_said_about_aims_that_were_not_measured() -> None:
    assert verdicts({(WHOLE, FLOOR): [measured(100, 0.001)]}) == []


def test_two_cases_of_a_plan_may_not_share_a_name() -> None:
    with pytest.raises(ValueError, match="name of its own"):
        Plan(cases=(FLOOR, case("floor", Kind.OURS)))


def test_what_a_stream_is_slowed_by_is_held_against_a_commit_of_its_database() -> None:
    ours, paced = replace(case("postgresql", Kind.OURS), is_masked=True), Load(Shape.PACED, 1)
    turns = {(paced, FLOOR): [measured(1, 0.002)], (paced, ours): [measured(1, 0.006)]}

    def told(p50: float) -> list[tuple[str, bool]]:
        figures = [
            Measure(commit_alone("PostgreSQL", 50), p50, "ms"),
            Measure(commit_alone("PostgreSQL", 99), 8.0, "ms"),
            Measure(commit_alone("SQLite", 50), 9.0, "ms"),
            Measure(commit_alone("SQLite", 99), 9.0, "ms"),
        ]
        found = verdicts(turns, {"record": figures})
        return [(v.reached, v.is_met) for v in found if "no more than a commit" in v.aim]

    assert told(3.5) == 2 * [("4.00 ms; a commit takes 3.50 ms (p50), 8.00 ms (p99)", False)]
    assert told(4.5) == 2 * [("4.00 ms; a commit takes 4.50 ms (p50), 8.00 ms (p99)", True)]
    assert not [v for v in verdicts(turns) if "commit" in v.aim], "none was measured"
