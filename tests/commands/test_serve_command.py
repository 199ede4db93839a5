"""What `authz serve` does with its log."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import resource, structlog
from authz_service.commands.serve import log_to_stderr

log_to_stderr("info")
log = structlog.get_logger()
log.info("before")
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
log.warning("while the disk is full")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("after")
"""


def test_a_disk_that_is_full_costs_a_line_of_the_log_and_nothing_else(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    log = tmp_path / "service.log"
    with log.open("wb") as file:
        done = subprocess.run([sys.executable, "-c", PROGRAM], stderr=file, timeout=120)
    assert done.returncode == 0
    said = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert (said[0], said[-1]) == ("before", "after")
