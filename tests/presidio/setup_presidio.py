"""Makes build/presidio/env: Presidio, without a model, with the packages of the project behind its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / "build" / "presidio" / "env"
PYTHON = ENVIRONMENT / "bin" / "python"
REQUIREMENTS = HERE / "requirements.txt"


def main() -> None:
    """Do what is missing; a second run finds it all there."""
    stamp = ENVIRONMENT / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        print("installing Presidio into an environment of its own (about 300 MB)")
        _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
        _run(str(PYTHON), "-m", "pip", "install", "-q", "--no-deps", "-r", str(REQUIREMENTS))
        stamp.write_text(wanted)
    _see_the_project()
    print(f"Presidio is in {ENVIRONMENT}")


def _see_the_project() -> None:
    """What is not installed there is taken from the environment that runs this."""
    own = subprocess.run(
        [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    )
    line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(own.stdout.strip()) / "project.pth").write_text(line)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
