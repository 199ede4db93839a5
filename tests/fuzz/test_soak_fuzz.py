"""Fuzzes every target for its share of FUZZ_SECONDS, going on with the corpus that build/fuzz has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.setup_fuzz import FUZZ, PACKAGES
from tests.fuzz.targets import TARGETS

pytestmark = pytest.mark.soak
SECONDS = int(os.environ.get("FUZZ_SECONDS", "300")) // len(TARGETS)
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_finds_nothing(target: str) -> None:
    corpus, found = FUZZ / "corpus" / target, FUZZ / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.run", target, str(corpus)]
    command += [f"-max_total_time={SECONDS}", "-timeout=60", "-rss_limit_mb=4096", "-print_final_stats=1"]
    done = subprocess.run(
        [*command, f"-artifact_prefix={found}/{target}-"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(PACKAGES)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    said = done.stdout + done.stderr
    executions = re.search(r"number_of_executed_units: (\d+)", said)
    print(f"{target}: {executions[1] if executions else 'no'} executions in {SECONDS} s")
    assert done.returncode == 0, said[-6000:]
    assert executions is not None, said[-6000:]
