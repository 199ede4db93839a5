"""The command: what it is asked for, and with which code it ends."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from authz_verifier.errors import CannotVerify
from authz_verifier.proof import verify_proof
from authz_verifier.report import Progress, printable, say_progress, show
from authz_verifier.verification import verify


def main(folder: Path) -> int:
    """Verify what the arguments name, by default the export in `folder`; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify an export of the record.")
    parser.add_argument("folder", nargs="?", type=Path, default=folder, metavar="DIR")
    parser.add_argument("--key", action="append", default=[], metavar="VKEY")
    parser.add_argument("--checkpoint", action="append", default=[], type=Path, metavar="FILE")
    parser.add_argument("--proof", type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, metavar="N")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    progress: Progress = say_progress if os.isatty(2) else lambda done, size: None
    try:
        if options.proof is not None:
            report, entry = verify_proof(options.proof, options.key)
            print("the proof does not hold" if report.count else printable(entry), file=sys.stderr)
        else:
            report = verify(options.folder, options.key, options.checkpoint, progress, options.jobs)
    except CannotVerify as error:
        print(printable(f"cannot verify: {error}"), file=sys.stderr)
        return 2
    show(report, as_json=options.as_json)
    return 1 if report.count else 0
