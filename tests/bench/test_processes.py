"""What a program takes is its own and that of all that it has started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.processes import NotStarted, cpu_seconds, program, usage

CHILD = "print('ready', flush=True); input()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}])"


def test_children_count_with_the_program_that_started_them() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        alone, all_of_it = usage(parent.pid, has_family=False), usage(parent.pid)
        assert 0 < alone.rss < all_of_it.rss
        assert 0 < alone.cpu_seconds < all_of_it.cpu_seconds
        assert alone.rss <= alone.peak_rss < all_of_it.peak_rss
        parent.communicate("\n")


def test_a_program_that_has_ended_takes_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert (cpu_seconds(ended.pid), usage(ended.pid).rss) == (0, 0)


def test_a_program_that_does_not_start_says_what_it_said(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such thing')")
    with (
        pytest.raises(NotStarted, match=r"service did not start:\nno such thing"),
        program(command, log=tmp_path / "service.log", is_ready=lambda: False),
    ):
        pass
