"""`authz policy`: check a configuration, try its rules on cases, explain what they decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from authz_cli.options import Target, json_option, target_options

if TYPE_CHECKING:
    from authz_service.config.faults import BadConfiguration
    from authz_service.config.read import Loaded

BAD_FILE = 2
FAILED = 1

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group()
def command() -> None:
    """Check and test the rules of a configuration, and explain what they decided."""


@command.command()
@click.argument("file", type=FILE)
@AS_JSON
def check(file: Path, as_json: bool) -> None:
    """Check FILE as a whole; prints every fault with its line, or the policy's digest.

    \b
    Exit codes:
      0  the file is good
      2  it has faults
    """
    loaded = _load(file, as_json=as_json)
    summary = {
        "ok": True,
        "file": str(file),
        "digest": loaded.digest,
        "rules": len(loaded.policy.request_rules.rules) + len(loaded.policy.answer_rules.rules),
    }
    if as_json:
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{file}: good, {summary['rules']} rules, policy {loaded.digest}")


@command.command()
@click.argument("file", type=FILE)
@click.argument("cases", type=FILE, required=False)
@AS_JSON
def test(file: Path, cases: Path | None, as_json: bool) -> None:
    """Try the rules of FILE on CASES (beside FILE: NAME.cases.yaml) and compare what they decide.

    The detectors and the reading of requests are those of the gateway.

    \b
    Exit codes:
      0  every case came out as expected
      1  some did not
      2  FILE or CASES has faults
    """
    import time

    from authz_service.cel.load import read_text
    from authz_service.commands.policy_cases import run_cases
    from authz_service.config.cases import read_cases
    from authz_service.config.faults import BadConfiguration

    loaded = _load(file, as_json=as_json)
    path = cases or file.with_name(f"{file.stem}.cases.yaml")
    if not path.exists():
        raise click.UsageError(f"no {path}; name a file of cases (docs/configuration.md shows one)")
    try:
        wanted = read_cases(read_text(path), source=path)
    except BadConfiguration as bad:
        _refuse(bad, as_json=as_json)
    results = run_cases(loaded, wanted, now=time.time())
    failed = [result for result in results if result.problems]
    if as_json:
        click.echo(json.dumps({"ok": not failed, "cases": [result.as_json() for result in results]}))
    else:
        for result in results:
            click.echo(result.as_line())
        click.echo(f"{len(results) - len(failed)} of {len(results)} cases as expected")
    if failed:
        raise SystemExit(FAILED)


@command.command()
@click.argument("session")
@json_option
@target_options
def explain(target: Target, session: str, as_json: bool) -> None:
    """Say why SESSION was decided so: every rule of that time, what it said, and the values that it read.

    For auditors; your reading is recorded.
    """
    from authz_service.commands.policy_session import explain_session

    explain_session(target, session, as_json=as_json)


def _load(file: Path, *, as_json: bool) -> Loaded:
    from authz_service.cel.load import load_config
    from authz_service.config.faults import BadConfiguration

    try:
        loaded = load_config(file)
        if loaded.config.presidio:
            _check_presidio(file, loaded)
        return loaded
    except BadConfiguration as bad:
        _refuse(bad, as_json=as_json)


def _check_presidio(file: Path, loaded: Loaded) -> None:
    """Whether what the file asks of Presidio is there; raises `BadConfiguration`."""
    from authz_service.config.faults import BadConfiguration, Fault, Place
    from authz_service.errors import Misconfigured
    from authz_service.runtime.rules import request_scanner_of, scanner_of

    try:
        request_scanner_of(loaded.config, scanner_of(loaded.config))
    except Misconfigured as error:
        raise BadConfiguration(str(file), [Fault(Place(1, 1), str(error))]) from error


def _refuse(bad: BadConfiguration, *, as_json: bool) -> NoReturn:
    """Print all faults and end; on stdout as JSON, on stderr as text."""
    if as_json:
        faults = [
            {
                "line": fault.place.line,
                "column": fault.place.column,
                "message": fault.message,
                "excerpt": fault.excerpt,
            }
            for fault in bad.faults
        ]
        click.echo(json.dumps({"ok": False, "file": bad.source, "faults": faults}))
    else:
        click.echo(str(bad), err=True)
        count = len(bad.faults)
        click.echo(f"{bad.source}: {count} fault{'s' if count > 1 else ''}; nothing of it is used", err=True)
    raise SystemExit(BAD_FILE)
