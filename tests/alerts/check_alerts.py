"""`make alerts-check`: the rules for Prometheus by its own tool, and what they make of the series of a day.

promtool is the one in the PATH, or that of Debian's package, which is fetched once and unpacked in build/.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "build" / "prometheus"


def promtool() -> str:
    """Where it is."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    unpacked = PLACE / "usr" / "bin" / "promtool"
    if not unpacked.exists():
        PLACE.mkdir(parents=True, exist_ok=True)
        run("apt-get", "download", "prometheus")
        (package,) = PLACE.glob("prometheus_*.deb")
        run("dpkg", "-x", str(package), str(PLACE))
    return str(unpacked)


def run(*command: str) -> None:
    """A command that has to succeed."""
    done = subprocess.run(command, cwd=PLACE if PLACE.exists() else ROOT, check=False)
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {' '.join(command)}")


if __name__ == "__main__":
    tool = promtool()
    run(tool, "check", "rules", str(ROOT / "deploy" / "prometheus-rules.yml"))
    run(tool, "test", "rules", str(Path(__file__).with_name("prometheus-rules.test.yml")))
