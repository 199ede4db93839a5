"""`python -m bench.sessions.exporting`: what is in memory while sessions of a filled store are exported."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from bench.processes import program, usage

FORMATS = ("jsonl", "har", "otlp", "ocsf")
MARKS = (*(size * scale for scale in (1000, 10_000, 100_000) for size in (1, 2, 3, 5, 7)), 1_000_000)
"""How many sessions were exported when it is looked at."""
_CONFIGURATION = """\
version: 1
listen: {address: "127.0.0.1:1"}
models: [{name: none, url: "http://127.0.0.1:1"}]
identity: {embedded: true}
review: {reviewers: "false", auditors: "'auditors' in person.groups"}
requests: {default: deny, rules: []}
answers: {default: allow}
record: {keep: {payloads: 36500d, entries: 36500d}}
"""


@click.command()
@click.option("--folder", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS))
@click.option("--seconds", type=click.FloatRange(1), default=600.0, show_default=True)
def main(folder: Path, formats: Sequence[str], seconds: float) -> None:
    """Export the sessions of a store on SQLite that `make bench-sessions` has filled.

    Each reading is on record, so the store grows. No gateway runs, and nothing of the store is purged.
    """
    (folder / "authz.yaml").write_text(_CONFIGURATION)
    folder.chmod(0o700)
    authz = str(Path(sys.executable).parent / "authz")
    of = ("--config", str(folder / "authz.yaml"), "--data-dir", str(folder))
    log = folder / "serve.log"
    log.unlink(missing_ok=True)
    with program((authz, "serve", *of), log=log, is_ready=lambda: '{"review"' in log.read_text()) as service:
        for form in formats or FORMATS:
            for line in _exported(authz, form, folder, service.pid, seconds):
                click.echo(line)


def _exported(authz: str, form: str, folder: Path, service: int, seconds: float) -> Iterator[str]:
    environment = {**os.environ, "AUTHZ_DATA_DIR": str(folder)}
    began, count = time.monotonic(), 0
    with subprocess.Popen(
        (authz, "session", "export", "--format", form), stdout=subprocess.PIPE, env=environment
    ) as export:
        for count, _ in enumerate(export.stdout or (), 1):
            is_over = time.monotonic() - began > seconds
            if count in MARKS or is_over:
                yield _line(form, count, time.monotonic() - began, export.pid, service)
            if is_over:
                export.terminate()
                return
    yield f"{form:6}{count:10,} lines, whole, in {time.monotonic() - began:.0f} s"


def _line(form: str, count: int, seconds: float, command: int, service: int) -> str:
    rate = f"{count:10,} sessions {count / seconds:6.0f}/s"
    return f"{form:6}{rate}   the command {_memory(command)}, the service {_memory(service)}"


def _memory(pid: int) -> str:
    took = usage(pid, has_family=False)
    return f"{took.rss / 2**20:.0f} MiB (peak {took.peak_rss / 2**20:.0f})"


if __name__ == "__main__":
    main()
