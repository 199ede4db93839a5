"""Whoever waits at a terminal for an export, or for its verification, sees how far it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from tests.commands.exported import COUNT

from authz_service.keys.log_key import LogKey

AUTHZ = (sys.executable, "-c", "from authz_cli.main import cli; cli()")


def at_a_terminal(*command: str) -> list[str]:
    """What is said on standard error, each as it replaced the one before."""
    terminal, theirs = pty.openpty()
    said = b""
    try:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            with suppress(OSError):  # EIO, once nobody can say anything more
                while piece := os.read(terminal, 1 << 16):
                    said += piece
        assert process.returncode == 0
    finally:
        os.close(terminal)
    return [line for line in said.decode().replace("\n", "").split("\r") if line]


@pytest.mark.parametrize(("verb", "word"), [("export", "exported"), ("verify", "verified")])
def test_audit_tells_how_many_entries_are_done(
    made: tuple[Path, LogKey], tmp_path: Path, verb: str, word: str
) -> None:
    of = [str(tmp_path / "new"), "--no-payloads"] if verb == "export" else []
    said = at_a_terminal(*AUTHZ, "audit", verb, *of, "--data-dir", str(made[0] / "data"))
    assert said[-1] == f"{word} {COUNT} of {COUNT} entries"


def test_the_verifier_of_an_export_tells_how_many_entries_are_done(out: Path) -> None:
    said = at_a_terminal(sys.executable, "-I", "-S", str(out / "verify.py"))
    assert said[-1] == f"{COUNT} of {COUNT} entries"
