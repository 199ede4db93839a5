"""Environments of their own under build/, for packages that do not go with those of the project."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_BUILD = Path(__file__).resolve().parents[1] / "build"


@dataclass(frozen=True, slots=True)
class OwnEnvironment:
    """`build/NAME/env`, as the requirements file says; everything in that is pinned."""

    name: str
    what: str
    """What is in it, and how much that is: `MLServer (230 MB)`."""
    requirements: Path

    @property
    def binaries(self) -> Path:
        """The folder with its programs."""
        return _BUILD / self.name / "env" / "bin"

    def make(self) -> None:
        """Do what is missing; a second run finds it all there."""
        folder = self.binaries.parent
        stamp, wanted = folder / "installed.txt", self.requirements.read_text()
        if not (stamp.exists() and stamp.read_text() == wanted):
            print(f"installing {self.what} into an environment of its own", flush=True)
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            pip = (str(self.binaries / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check")
            _run(*pip, "--no-deps", "-r", str(self.requirements))
            stamp.write_text(wanted)
        print(f"it is in {folder}")

    def see_the_project(self) -> None:
        """What is not installed there is taken from the environment that runs this."""
        python = str(self.binaries / "python")
        ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True)
        line = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (Path(own.stdout.strip()) / "project.pth").write_text(line)


def _run(*command: str) -> None:
    if subprocess.run(command).returncode:
        sys.exit(f"this failed: {' '.join(command)}")
