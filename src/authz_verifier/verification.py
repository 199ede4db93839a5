"""An export, verified as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from authz_verifier.bundles import Export
from authz_verifier.notes import parse_key, read_kept, read_note
from authz_verifier.report import Progress, Report
from authz_verifier.tiles import lines, read, read_manifest
from authz_verifier.walk import Walk
from authz_verifier.workers import default_jobs


def verify(
    folder: Path,
    keys: Iterable[str] = (),
    checkpoints: Iterable[Path] = (),
    progress: Progress = lambda done, size: None,
    jobs: int | None = 1,
) -> Report:
    """Verify the export in `folder` with so many processes beside this one, or with none for 1.

    With None for `jobs` there are as many as its size is worth.
    `progress` is told how many of how many entries are done.

    Raises `CannotVerify`.
    """
    manifest = read_manifest(folder)
    report = Report()
    head = read_note(read(folder / "checkpoint", "checkpoint").decode("utf-8", "replace"), "checkpoint")
    report.origin, report.size, report.root = head.origin, head.size, head.root.hex()
    trusted = [parse_key(text) for text in keys]
    if not trusted:
        trusted = [parse_key(line) for line in lines(read(folder / "log.vkey", "log.vkey"))]
        report.notes.append("the key is the export's own: compare it with the one that you were given")
    kept = [note for path in checkpoints for note in read_kept(path, report)]
    own = folder / "checkpoints.jsonl"
    if own.exists():
        kept += read_kept(own, report)
    walk = Walk(Export(folder, manifest), head, report, trusted, kept)
    walk.run(progress, jobs or default_jobs(folder, head.size))
    return report
