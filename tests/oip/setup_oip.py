"""Makes build/oip/env: MLServer, a server of the Open Inference Protocol, with a model for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parents[1] / "build" / "oip" / "env"
PYTHON = ENVIRONMENT / "bin" / "python"
SERVER = ENVIRONMENT / "bin" / "mlserver"
REQUIREMENTS = HERE / "requirements.txt"


def main() -> None:
    """Do what is missing; a second run finds it all there."""
    stamp = ENVIRONMENT / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        print("installing MLServer into an environment of its own (about 230 MB)", flush=True)
        _run(sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT))
        pip = (str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--require-hashes", "-r", str(REQUIREMENTS))
        stamp.write_text(wanted)
    print(f"MLServer is in {ENVIRONMENT}")


def _run(*command: str) -> None:
    if subprocess.run(command).returncode:
        sys.exit(f"this failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
