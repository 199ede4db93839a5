"""Installs the OpenID provider of the tests, npm's oidc-provider, into build/oidc_provider."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "provider"
PROVIDER = HERE.parents[1] / "build" / "oidc_provider"
SERVER = PROVIDER / "server.mjs"
OLDEST_NODE = (20, 19)


def main() -> None:
    """Do what is missing; a second run finds it all there."""
    install(SOURCE, PROVIDER, "oidc-provider (3 MB)")


def install(source: Path, target: Path, what: str) -> None:
    """Put the server in `source`, and the packages that its lock file names, into `target`."""
    node = _version("node", "--version")
    if node is None or node < OLDEST_NODE or shutil.which("npm") is None:
        sys.exit("these tests need Node.js 20.19 or newer, and npm; on Debian: apt-get install nodejs npm")
    target.mkdir(parents=True, exist_ok=True)
    stamp, wanted = target / "installed.json", (source / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, target / name)
        print(f"installing {what}", flush=True)
        # No scripts of packages: none of these needs one.
        command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
        if subprocess.run(command, cwd=target).returncode:
            sys.exit(f"npm could not install {what}; is the registry within reach?")
        stamp.write_text(wanted)
    shutil.copy(source / "server.mjs", target / "server.mjs")


def _version(*command: str) -> tuple[int, ...] | None:
    if shutil.which(command[0]) is None:
        return None
    said = subprocess.run(command, capture_output=True, text=True).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split("."))


if __name__ == "__main__":
    main()
