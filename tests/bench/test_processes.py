"""What a program takes is its own and that of all that it has started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.processes import NotStarted, cpu_seconds, parts_of, program, usage

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


def test_the_processes_of_several_workers_are_told_apart(tmp_path: Path) -> None:
    script = tmp_path / "serve.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "parts = [] if '--part' in sys.argv else ['-1', '0', '1']\n"
        "made = [subprocess.Popen([sys.executable, __file__, '--part', n]) for n in parts]\n"
        "os.write(1, b'ready' + os.linesep.encode())\n"
        "sys.stdin.read()\n"
        "[each.wait() for each in made]\n"
    )
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for _ in range(4):
            assert program.stdout.readline() == "ready\n"
        found = parts_of(program.pid)
        assert list(found) == ["keeper", "worker 0", "worker 1"]
        assert program.pid not in found.values()
        assert parts_of(found["keeper"]) == {"keeper": found["keeper"]}
        program.communicate("")


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
