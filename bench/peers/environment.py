"""A virtual environment for each peer, made on demand from its requirements file beside this module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bench.processes import NotStarted

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1] / "build" / "peers"
_INSTALL_SECONDS = 1200.0
_STAMP = "requirements.txt"


def binaries(name: str, *, requirements: Path = _HERE, root: Path = _ROOT) -> Path:
    """The folder with the peer's programs; made anew when its requirements have changed.

    Everything that they name is pinned. Raises `NotStarted` when it cannot be installed here.
    """
    wanted = (requirements / f"{name}.txt").read_text()
    place = root / name
    stamp = place / _STAMP
    if not stamp.exists() or stamp.read_text() != wanted:
        root.mkdir(parents=True, exist_ok=True)
        log = root / f"{name}.log"
        log.write_bytes(b"")
        _run((sys.executable, "-m", "venv", "--clear", str(place)), name, log)
        pip = (str(place / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check")
        _run((*pip, "--no-deps", "--requirement", str(requirements / f"{name}.txt")), name, log)
        stamp.write_text(wanted)
    return place / "bin"


def installed(name: str, *, requirements: Path = _HERE, root: Path = _ROOT) -> Path | None:
    """The peer's Python, if `binaries` has installed it here as its requirements are now."""
    stamp = root / name / _STAMP
    is_here = stamp.exists() and stamp.read_text() == (requirements / f"{name}.txt").read_text()
    return root / name / "bin" / "python" if is_here else None


def version(package: str, *, of: str = "", requirements: Path = _HERE) -> str:
    """Which version of the package is pinned by its own requirements file, or by that of another."""
    name = f"{of or package}.txt"
    pinned = re.search(rf"^{re.escape(package)}==(\S+)$", (requirements / name).read_text(), re.MULTILINE)
    if pinned is None:
        raise ValueError(f"{name} pins no {package}")
    return pinned[1]


def _run(command: tuple[str, ...], name: str, log: Path) -> None:
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=_INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise NotStarted(f"{name} was not installed within {_INSTALL_SECONDS:.0f} s") from None
    if done.returncode:
        said = log.read_text(errors="replace").strip().splitlines() or [f"see {log}"]
        raise NotStarted(f"{name} cannot be installed here: {said[-1]}")
