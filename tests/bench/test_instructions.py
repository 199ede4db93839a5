"""Instructions are counted by perf between start and stop; where perf fails, the reason is said.

A script stands in for perf: whether the real one may count depends on the machine.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from bench.instructions import NotCounted, counters
from bench.window import window

STAND_IN = f"""\
#!{sys.executable}
import os, signal, sys
def end(*_):
    sys.stderr.write("# a comment\\n1234567,,instructions:u,100,100.00,,\\n" if REMARK is None else REMARK)
    sys.exit()
signal.signal(signal.SIGINT, end)
control, acknowledged = map(int, sys.argv[sys.argv.index("--control") + 1].removeprefix("fd:").split(","))
for line in os.fdopen(control):
    with open(sys.argv[0] + ".said", "a") as file:
        file.write(line)
    os.write(acknowledged, b"ack\\n")
signal.pause()
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, *, remark: str | None = None) -> Path:
    perf = folder / "perf"
    perf.write_text(STAND_IN.replace("REMARK is None", str(remark is None)).replace("REMARK", repr(remark)))
    perf.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder / "perf.said"


def test_what_perf_counted_between_start_and_stop_is_told_by_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = stand_in(tmp_path, monkeypatch)
    with counters({"service": os.getpid()}) as found:
        found["service"].start()
        assert said.read_text() == "enable\n"
        assert found["service"].stop() == 1234567
    assert said.read_text() == "enable\ndisable\n"


def test_the_window_of_a_turn_is_what_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = stand_in(tmp_path, monkeypatch)
    with window({"service": os.getpid()}, {}, has_instructions=True) as during:
        assert not said.exists()
        during.open()
        assert said.read_text() == "enable\n"
        assert during.close().instructions == {"service": 1234567}
    with window({"service": os.getpid()}, {}, has_instructions=False) as during:
        during.open()
        assert during.close().instructions == {}


def test_a_count_that_perf_does_not_give_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, remark="<not supported>,,instructions:u,0,100.00,,\n")
    with counters({"service": os.getpid()}) as found:
        found["service"].start()
        with pytest.raises(NotCounted, match="not supported"):
            found["service"].stop()


def test_a_perf_that_ends_at_once_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    perf = tmp_path / "perf"
    perf.write_text(f"#!{sys.executable}\n")
    perf.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with counters({"service": os.getpid()}) as found, pytest.raises(NotCounted, match="perf has ended"):
        found["service"].start()


def test_where_there_is_no_perf_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotCounted, match="no perf here"), counters({"service": os.getpid()}):
        pass
