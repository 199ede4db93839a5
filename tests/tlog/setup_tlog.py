"""Makes build/tlog: two programs that read logs of tlog-tiles, and share nothing with ours or each other.

One is made of the packages that Go reads its checksum database with, as they are in Go's own source: there
tiles and signed notes come from. The other is tlog-scales from PyPI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.own_environment import OwnEnvironment

HERE = Path(__file__).parent
TLOG = OwnEnvironment("tlog", "Go and tlog-scales (0.3 GB)", HERE / "requirements.txt")
BUILD = TLOG.binaries.parents[1]
READERS = {"go": (str(BUILD / "reader"),), "scales": (str(TLOG.binaries / "python"), str(HERE / "scales.py"))}
"""What each is called with: URL, VKEY and the files of older checkpoints."""
MODULE = "golang.org/x/mod"
PACKAGES = ("sumdb/note", "sumdb/tlog")


def build() -> None:
    """Build Go's reader, without a network; a second run finds it built."""
    go, settings = str(TLOG.binaries / "go"), {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    settings |= {"GOCACHE": str(BUILD / "cache"), "GOPROXY": "off", "GOFLAGS": "-mod=mod"}
    root = subprocess.run((go, "env", "GOROOT"), env=settings, check=True, capture_output=True, text=True)
    for package in PACKAGES:
        source = Path(root.stdout.strip(), "src/cmd/vendor", MODULE, package)
        shutil.copytree(source, BUILD / "mod" / package, dirs_exist_ok=True)
    (BUILD / "mod" / "go.mod").write_text(f"module {MODULE}\n\ngo 1.25\n")
    command = (go, "build", "-o", *READERS["go"], ".")
    if subprocess.run(command, cwd=HERE / "reader", env=settings).returncode:
        sys.exit("Go could not build the reader")


if __name__ == "__main__":
    TLOG.make()
    build()
