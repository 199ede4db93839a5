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
    node = _version("node", "--version")
    if node is None or node < OLDEST_NODE or shutil.which("npm") is None:
        sys.exit("these tests need Node.js 20.19 or newer, and npm; on Debian: apt-get install nodejs npm")
    PROVIDER.mkdir(parents=True, exist_ok=True)
    stamp, wanted = PROVIDER / "installed.json", (SOURCE / "package-lock.json").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, PROVIDER / name)
        print("oidc: installing oidc-provider (3 MB)", flush=True)
        # No scripts of packages: none of these needs one.
        command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
        if subprocess.run(command, cwd=PROVIDER).returncode:
            sys.exit("npm could not install oidc-provider; is the registry within reach?")
        stamp.write_text(wanted)
    shutil.copy(SOURCE / "server.mjs", SERVER)


def _version(*command: str) -> tuple[int, ...] | None:
    if shutil.which(command[0]) is None:
        return None
    said = subprocess.run(command, capture_output=True, text=True).stdout
    return tuple(int(part) for part in said.strip().lstrip("v").split("."))


if __name__ == "__main__":
    main()
