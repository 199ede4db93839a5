"""Installs the fuzzer into build/fuzz, beside the environment of the service."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
FUZZ = Path(__file__).resolve().parents[2] / "build" / "fuzz"
PACKAGES = FUZZ / "packages"
"""Goes on the path of a process that fuzzes."""


def main() -> None:
    """Do what is missing; anew when the requirements have changed."""
    stamp = PACKAGES / "requirements.txt"
    if stamp.exists() and stamp.read_text() == REQUIREMENTS.read_text():
        return
    print(f"installing the fuzzer into {PACKAGES}", flush=True)
    shutil.rmtree(PACKAGES, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [*pip, "--require-hashes", "--target", str(PACKAGES), "--requirement", str(REQUIREMENTS)], check=True
    )
    shutil.copy(REQUIREMENTS, stamp)


if __name__ == "__main__":
    main()
