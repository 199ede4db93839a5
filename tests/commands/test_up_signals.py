"""What a signal asks of `authz up` while it starts is done once everything runs, and ends nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.commands.test_up_command import ENDS, command
from tests.e2e.people import until
from tests.e2e.stack import free_port

from authz_service.keys.data_dir import DataDir

HELD = """
import sys, time
from pathlib import Path
while "serve" in sys.orig_argv and not Path({go!r}).exists():
    time.sleep(0.01)
"""
"""What Python runs before anything else: the service begins when the test says so."""


def said(data: DataDir, event: str) -> list[str]:
    """The lines of the service's log with this event, as far as they are whole."""
    lines = (data.logs / "service.log").read_text().rpartition("\n")[0].splitlines()
    return [line for line in lines if line.startswith("{") and json.loads(line).get("event") == event]


@pytest.mark.e2e
def test_a_reload_that_is_asked_for_while_all_start_is_made_once_they_run(tmp_path: Path) -> None:
    data = DataDir(tmp_path / "data")
    starting = command("up", "--data-dir", str(data.root), "--listen", f"127.0.0.1:{free_port()}")
    go = tmp_path / "go"
    (tmp_path / "sitecustomize.py").write_text(HELD.format(go=str(go)))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        starting, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("starting with")
            for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP):
                process.send_signal(number)
            go.touch()
            printed = ""
            for line in process.stdout:
                printed += line
                if "Ctrl-C" in line:
                    break
            assert "ready:" in printed
            assert printed.count("reloading ") == 1
            until(lambda: said(data, "policy.activated"), "the reload")
        finally:
            process.terminate()
            process.communicate(timeout=ENDS)
    assert process.returncode == 0
