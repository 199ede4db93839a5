"""Verifies the live store, and shows what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from authz_service.commands.audit_source import Source, parse_keys, read_kept, view
from authz_service.commands.progress import progress
from authz_service.errors import Misconfigured
from authz_service.store.verify_ahead import Helpers
from authz_service.store.verify_jobs import default_jobs
from authz_service.store.verify_keys import with_rotated
from authz_service.store.verify_store import Verified, verify_store
from authz_verifier.report import printable


def verify_live(
    config: Path | None,
    data_dir: Path,
    keys: Sequence[str],
    files: Sequence[Path],
    jobs: int | None,
    *,
    with_payloads: bool,
) -> Verified:
    """All that was found; raises `Misconfigured` without a key of the log, or those of payloads."""
    source = Source.of(config, data_dir)
    known = parse_keys(keys) or [source.log_key().vkey]
    with source.reading() as reader:
        known = with_rotated(reader, known)
    own = [source.data.checkpoints] if source.data.checkpoints.is_file() else []
    report = Verified()
    # Before the view of the store begins: no checkpoint may be ahead of it.
    kept = read_kept([*own, *files], known, report)
    with source.reading() as reader:
        if with_payloads and reader.lacks_keys():
            said = "the payloads are sealed, and their keys are not here"
            next_step = "restore the store of keys, or verify the rest with --no-payloads"
            raise Misconfigured(f"cannot verify: {said}; {next_step}")
        return verify_store(
            reader,
            keys=known,
            kept=kept,
            with_payloads=with_payloads,
            helpers=Helpers(partial(view, config, data_dir.absolute()), jobs or default_jobs(reader)),
            progress=progress("verified"),
            report=report,
        )


def show(report: Verified, *, as_json: bool) -> None:
    """Print it: what is wrong, what else is to be known, and what was verified."""
    if as_json:
        shown: dict[str, Any] = {
            "ok": not report.count,
            "origin": report.origin,
            "size": report.size,
            "root": report.root.hex(),
            "key": report.signed_by,
            "payloads": report.payloads,
            "count": report.count,
            "wrong": [{"record": wrong.record, "what": wrong.what} for wrong in report.wrong],
            "notes": report.notes,
        }
        click.echo(json.dumps(shown, indent=2))
        return
    for said in report.notes:
        click.echo(printable(f"note: {said}"))
    for wrong in report.wrong:
        click.echo(printable(f"WRONG  {wrong.record}: {wrong.what}"))
    click.echo(f"log {report.origin}, {report.size} entries, root {report.root.hex()}")
    click.echo(f"signed by {report.signed_by or 'no key that is known'}")
    click.echo("everything fits" if not report.count else f"{report.count} things are wrong")
