"""Says what was measured: on the terminal, on a page for the documentation, as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from bench.aims import Verdict, verdicts
from bench.case import Kind
from bench.results import wrong
from bench.run import Outcome
from bench.tables import cost, faults, instructions, micro, processes, ratios, speed, streams
from bench.traffic import CARD, DELTAS

_INTRODUCTION = """\
# Benchmarks

What the gateway costs, measured on one machine, on which the load, the model server, Envoy and the service
share the CPUs. Written by `make bench` or `make bench-peers` with `BENCH_ARGS="--markdown FILE"`."""

_WAYS = "Ways to the same model server, which answers at once:"

_LOADS = f"""\
Requests have 1 KiB, and an address and a card in them, as each answer has. *Whole* answers have about
700 bytes, *large* ones 10 KiB; *streamed* ones are {DELTAS} tokens as fast as they can be written, *paced*
ones {DELTAS} tokens at 50 a second. *First event* is when the first event has arrived, *first text* the first
event with a word in it: a word is held back until it is known to be no part of an address, which takes the
token behind it. *Between* is from one arrival of text to the next; the longest, in p99, are those in which
the {len(CARD)} characters of the card come together as a placeholder. Events are the model's, however they
came to the client. CPU is for each answer; *together* is Envoy, the service and its database. Memory is
resident, at the end of a turn, and its peak since the program began. Every figure is the median over rounds
in which the cases took turns. Envoy alone is in no chart of answers a second: beside it no other bar would
be seen."""

_PROCESSES = """\
The same of each process of a service that has several, for each answer of all of them; the first process,
which supervises, is the rest of *service*."""

_INSTRUCTIONS = """\
Thousands of instructions in user space for each answer, counted by `perf stat`: what else the machine does
hardly changes them. They are of turns of their own, since to count takes CPU."""

_RATIOS = """\
Medians over the rounds of what each round gave: requests/s and CPU beside the floor's, times beside those
through Envoy alone."""

_FAULTS = """\
An answer is wrong that failed, that lost or changed other text than the address and the card, or with which
one of these reached the model or the client although it was to be masked. Wrong answers that came to their
end count among the requests/s."""

_PUBLISHED = """\
[WSO2 publishes](https://wso2.com/api-platform/docs/ai-gateway/1.1.0/performance/ai-gateway-runtime-with-two-cpus.md)
2,006 to 2,113 requests/s for its AI gateway (Envoy with an external processor in Go, version 1.1.0) on two
CPUs, masking requests of 1 KiB and answers of 10 KiB, and 3,760 to 4,137 without masking: 100 to 1,000
connections, a model that takes 10 ms, load and model on other machines. That is about 1 ms of CPU for each
masked answer, to be held against *together* of the *large* loads here. It was not measured here."""


def on_terminal(outcome: Outcome) -> str:
    """Everything but the prose."""
    measured = (speed, streams, cost, processes, instructions, ratios, faults) if outcome.turns else ()
    parts = [*(tell(outcome) for tell in measured), micro(outcome)]
    return "\n\n".join(
        part for part in [*parts, aims(verdicts(outcome.turns, outcome.micro)), _missing(outcome)] if part
    )


def page(outcome: Outcome, *, day: str, charts: Mapping[str, str]) -> str:
    """docs/benchmarks.md; `charts` are the file names of `bench.charts`, by name."""
    plan = outcome.plan
    machine = "\n".join(f"- {name}: {value}" for name, value in outcome.machine.items())
    rounds = "one round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    how = f"{rounds}, {plan.seconds:g} s for each turn after {plan.warm_up:g} s of warming up"
    where = f"## Where\n\n{day}; {how}.\n\n{machine}"
    parts = [_INTRODUCTION, where, *(_gateways(outcome, charts) if outcome.turns else ())]
    if outcome.micro:
        parts.append(f"## Parts of the service by themselves\n\n{micro(outcome)}")
    return "\n\n".join(part.rstrip() for part in [*parts, _missing(outcome)] if part) + "\n"


def _gateways(outcome: Outcome, charts: Mapping[str, str]) -> list[str]:
    cases = "\n".join(f"- **{case.title}**: {case.about}" for case in outcome.plan.cases)
    counted, by_process = instructions(outcome), processes(outcome)
    first_text = _image(charts, "first-text", "the time to the first text of a stream, by load")
    return [
        f"## What was measured\n\n{_WAYS}\n\n{cases}\n\n{_LOADS}",
        f"## Requests\n\n{_image(charts, 'requests', 'answers a second, by load')}{speed(outcome)}",
        f"## Streams\n\n{first_text}{streams(outcome)}",
        f"## CPU and memory\n\n{_image(charts, 'cpu', 'CPU for each answer, by load')}{cost(outcome)}",
        *([f"## Workers and keeper\n\n{_PROCESSES}\n\n{by_process}"] if by_process else ()),
        *([f"## Instructions\n\n{_INSTRUCTIONS}\n\n{counted}"] if counted else ()),
        f"## Ratios\n\n{_RATIOS}\n\n{ratios(outcome)}",
        f"## Published by others\n\n{_PUBLISHED}",
        f"## Wrong answers\n\n{_FAULTS}\n\n{faults(outcome) or 'There were none.'}",
        f"## Aims\n\n{aims(verdicts(outcome.turns, outcome.micro)) or 'None of them was measured.'}",
    ]


def _image(charts: Mapping[str, str], name: str, text: str) -> str:
    return f"![{text}]({charts[name]})\n\n" if name in charts else ""


def as_json(outcome: Outcome) -> str:
    """Every turn of every round, times in seconds."""
    turns = [
        {"load": load.name, "case": case.name, "round": number, **dataclasses.asdict(measured)}
        for (load, case), all_measured in outcome.turns.items()
        for number, measured in enumerate(all_measured, start=1)
    ]
    return json.dumps(
        {
            "machine": outcome.machine,
            "turns": turns,
            "aims": [dataclasses.asdict(verdict) for verdict in verdicts(outcome.turns, outcome.micro)],
            "micro": {
                name: [dataclasses.asdict(figure) for figure in figures]
                for name, figures in outcome.micro.items()
            },
            "missing": {case.name: why for case, why in outcome.missing.items()},
        },
        indent=1,
    )


def aims(found: Sequence[Verdict]) -> str:
    """One line for each aim: reached or missed."""
    return "\n".join(
        f"- {'reached' if v.is_met else '**missed**'}: {v.case}, {v.aim}: {v.reached}" for v in found
    )


def is_void(outcome: Outcome) -> bool:
    """Whether answers were wrong that none of ours, nor Envoy's, may get wrong."""
    return any(wrong(outcome.turns, case) for case in outcome.plan.cases if case.kind is not Kind.PEER)


def _missing(outcome: Outcome) -> str:
    lines = [f"- {case.title}: {why}" for case, why in outcome.missing.items()]
    return "\n".join(["Not measured, or not to the end:", "", *lines]) if lines else ""
