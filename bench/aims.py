"""What this service should reach, and whether it did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.case import Case, Kind
from bench.micro.figure import Figure as Measure
from bench.micro.figure import commit_alone
from bench.plan import MANY, Load, Shape
from bench.results import Figure, Turns, added, ratio
from bench.turn import Measured

LEAST_OF_FLOOR = 0.7
"""Of what the floor does with the same CPU: any Python service behind Envoy that looks at nothing."""

MOST_ADDED = 4.0
"""Milliseconds that a request may take longer than through Envoy alone, at the median, one at a time."""

MOST_TO_FIRST_TOKEN = 5.0
"""Milliseconds by which the first event of a paced answer may be later than through the floor."""

MOST_FOR_MASKING = 10.0
"""Milliseconds by which the first event and text of a paced answer may be later than without masks."""

LEAST_TIMES_LITELLM = 10.0
"""Requests/s, beside LiteLLM with its own filter in the same run."""

LITELLM = "litellm-filter"

DATABASES = {"sqlite": "SQLite", "unmasked": "SQLite", "postgresql": "PostgreSQL"}
"""What each of these cases commits to."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One aim, in words, with what was measured."""

    case: str
    aim: str
    reached: str
    is_met: bool


def verdicts(turns: Turns, micro: Mapping[str, Sequence[Measure]] | None = None) -> list[Verdict]:
    """Every aim that this run can say something about; `micro` has its micro-benches by name."""
    cases = list(dict.fromkeys(case for _, case in turns))
    direct, floor = _first(cases, Kind.DIRECT), _first(cases, Kind.FLOOR)
    ours = [case for case in cases if case.kind is Kind.OURS]
    unmasked = next((case for case in ours if not case.is_masked), None)
    litellm = next((case for case in cases if case.name == LITELLM), None)
    found: list[Verdict] = []
    for case in (case for case in ours if case.is_masked):
        if floor:
            found += _beside_floor(turns, case, floor)
        if direct:
            found += _added(turns, case, direct)
        if unmasked:
            found += _beside_unmasked(turns, case, unmasked)
        if litellm:
            found += _beside_litellm(turns, case, litellm)
    if floor:
        commits = {measure.name: measure.value for measure in (micro or {}).get("record", ())}
        found += [verdict for case in ours for verdict in _beside_commit(turns, case, floor, commits)]
    return found


def _first(cases: Sequence[Case], kind: Kind) -> Case | None:
    return next((case for case in cases if case.kind is kind), None)


def _beside_floor(turns: Turns, case: Case, floor: Case) -> Iterator[Verdict]:
    load = Load(Shape.WHOLE, MANY)
    saved = ratio(turns, load, floor, case, lambda m: m.gateway_cpu)
    if saved is not None:
        aim = f"{load.title}: at least {LEAST_OF_FLOOR:.0%} of the floor's answers for the same CPU"
        yield Verdict(case.title, aim, f"{saved:.0%}", saved >= LEAST_OF_FLOOR)
    load = Load(Shape.STREAMED, MANY)
    reached = ratio(turns, load, case, floor, lambda m: m.per_second)
    if reached is not None:
        aim = f"{load.title}: at least {LEAST_OF_FLOOR:.0%} of the floor's events/s"
        yield Verdict(case.title, aim, f"{reached:.0%}", reached >= LEAST_OF_FLOOR)
    load = Load(Shape.PACED, 1)
    aim = f"{load.title}: the first event within {MOST_TO_FIRST_TOKEN:g} ms of the floor's"
    yield from _time(case, aim, added(turns, load, case, floor, _first_event), MOST_TO_FIRST_TOKEN)


def _added(turns: Turns, case: Case, direct: Case) -> Iterator[Verdict]:
    for shape, what, figure in (
        (Shape.WHOLE, "an answer at the median", _p50),
        (Shape.STREAMED, "an answer at the median", _p50),
        (Shape.PACED, "the first token's event", _first_event),
    ):
        load = Load(shape, 1)
        aim = f"{load.title}: under {MOST_ADDED:g} ms added to {what}"
        yield from _time(case, aim, added(turns, load, case, direct, figure), MOST_ADDED)


def _beside_unmasked(turns: Turns, case: Case, unmasked: Case) -> Iterator[Verdict]:
    load = Load(Shape.PACED, 1)
    figures: tuple[tuple[str, Figure], ...] = (("event", _first_event), ("text", lambda m: m.first_text))
    for what, figure in figures:
        aim = f"{load.title}: the first {what} within {MOST_FOR_MASKING:g} ms of no masking"
        yield from _time(case, aim, added(turns, load, case, unmasked, figure), MOST_FOR_MASKING)


def _beside_commit(turns: Turns, case: Case, floor: Case, commits: Mapping[str, float]) -> Iterator[Verdict]:
    """All that is added to a stream's begin, by the record and by the rest, beside one commit."""
    database = DATABASES.get(case.name, "")
    p50, p99 = (commits.get(commit_alone(database, part)) for part in (50, 99))
    if p50 is None or p99 is None:
        return
    figures: tuple[tuple[str, Figure], ...] = (("event", _first_event), ("text", lambda m: m.first_text))
    for load in (Load(Shape.STREAMED, 1), Load(Shape.PACED, 1)):
        for what, figure in figures:
            reached = added(turns, load, case, floor, figure)
            if reached is not None:
                aim = f"{load.title}: the first {what} no more than a commit behind the floor's"
                said = f"{reached:.2f} ms; a commit takes {p50:.2f} ms (p50), {p99:.2f} ms (p99)"
                yield Verdict(case.title, aim, said, reached <= p50)  # medians both


def _beside_litellm(turns: Turns, case: Case, litellm: Case) -> Iterator[Verdict]:
    per_second: Figure = lambda m: m.per_second  # noqa: E731 - a name for an argument
    for load in (Load(shape, MANY) for shape in (Shape.WHOLE, Shape.LARGE, Shape.STREAMED)):
        times = ratio(turns, load, case, litellm, per_second)
        if times is not None:
            aim = f"{load.title}: at least {LEAST_TIMES_LITELLM:g} times the requests/s of {litellm.title}"
            yield Verdict(case.title, aim, f"{times:.1f} times", times >= LEAST_TIMES_LITELLM)


def _time(case: Case, aim: str, reached: float | None, most: float) -> Iterator[Verdict]:
    if reached is not None:
        yield Verdict(case.title, aim, f"{reached:.2f} ms", reached < most)


def _p50(measured: Measured) -> float:
    return measured.p50


def _first_event(measured: Measured) -> float:
    return measured.first_event
