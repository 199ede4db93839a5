"""Programs start in order, come back when they end, and all stop, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from authz_service.errors import Misconfigured
from authz_service.proxy.supervise import Program, Supervisor

COUNTING = "import sys,os,time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
STUBBORN = (
    "import sys,os,signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); time.sleep(600)"
)


class Started:
    """A program that notes each of its starts, by its process id."""

    def __init__(self, folder: Path, name: str, code: str = COUNTING) -> None:
        self.file = folder / name
        self.program = Program(
            name=name,
            command=(sys.executable, "-c", code, str(self.file)),
            log=folder / "logs" / f"{name}.log",
            is_ready=lambda: bool(self.pids),
            starts_within=60.0,
            stops_within=0.2 if code == STUBBORN else 60.0,
        )

    @property
    def pids(self) -> list[int]:
        try:
            return [int(line) for line in self.file.read_text().splitlines() if line]
        except FileNotFoundError:
            return []


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_programs_start_in_order_and_stop_when_told(tmp_path: Path) -> None:
    one, two = Started(tmp_path, "one"), Started(tmp_path, "two")
    ready = []

    async def scenario() -> None:
        stop = asyncio.Event()
        supervisor = Supervisor((one.program, two.program), lambda _line: None)
        task = asyncio.create_task(supervisor.run(stop, lambda: ready.append(one.pids + two.pids)))
        await until(lambda: bool(ready))
        assert all(is_alive(pid) for pid in ready[0])
        stop.set()
        await task

    asyncio.run(scenario())
    assert len(ready[0]) == 2
    assert not any(is_alive(pid) for pid in ready[0])


TOLD = (
    "import sys,os; open(sys.argv[1] + '.there', 'a').write('there\\n'); sys.stdin.read();"
    "open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); import time; time.sleep(600)"
)


def test_a_program_that_waits_is_there_at_once_and_told_when_its_turn_has_come(tmp_path: Path) -> None:
    two = Started(tmp_path, "two", TOLD)
    there = tmp_path / "two.there"
    first = Started(tmp_path, "one")
    came_early = []

    def is_ready() -> bool:
        """Once the other is there, which has not been told yet."""
        if there.exists():
            came_early.append(list(two.pids))
        return bool(first.pids) and there.exists()

    one = replace(first.program, is_ready=is_ready)

    async def scenario() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        waiting = replace(two.program, waits=True)
        supervisor = Supervisor((one, waiting), lambda _line: None, first_delay=0.01)
        task = asyncio.create_task(supervisor.run(stop, ready.set))
        async with asyncio.timeout(60):
            await ready.wait()
        assert came_early
        assert not any(came_early)
        os.kill(two.pids[0], signal.SIGKILL)
        await until(lambda: len(two.pids) == 2)  # it is told nothing then, and goes on
        stop.set()
        await task

    asyncio.run(scenario())
    assert not any(is_alive(pid) for pid in first.pids + two.pids)


def test_what_waits_for_a_program_that_does_not_start_is_stopped_with_it(tmp_path: Path) -> None:
    one = Started(tmp_path, "one", "import sys; sys.exit('no keys')")
    two = Started(tmp_path, "two", TOLD)

    async def scenario() -> None:
        waiting = replace(two.program, waits=True)
        await Supervisor((one.program, waiting), lambda _line: None).run(asyncio.Event(), lambda: None)

    with pytest.raises(Misconfigured, match=r"one ended at once.*no keys"):
        asyncio.run(scenario())
    assert two.pids == []


def test_a_program_that_ends_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")
    said: list[str] = []

    async def scenario() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        supervisor = Supervisor((one.program,), said.append, first_delay=0.01)
        task = asyncio.create_task(supervisor.run(stop, ready.set))
        await ready.wait()
        os.kill(one.pids[0], signal.SIGKILL)
        await until(lambda: len(one.pids) == 2)
        assert supervisor.ends == {"one": 1}
        await supervisor.replace("one")
        assert supervisor.ends == {"one": 1}, "what was asked for is no end of its own"
        stop.set()
        await task

    asyncio.run(scenario())
    assert said[0].startswith("one was ended by SIGKILL; starting it again")
    assert not any(is_alive(pid) for pid in one.pids)


def test_a_program_that_never_gets_ready_stops_everything_and_its_last_words_are_told(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")
    two = Started(tmp_path, "two", "import sys; sys.exit('the port is taken')")

    async def scenario() -> None:
        await Supervisor((one.program, two.program), lambda _line: None).run(asyncio.Event(), lambda: None)

    with pytest.raises(Misconfigured, match=r"two ended at once.*the port is taken"):
        asyncio.run(scenario())
    assert not any(is_alive(pid) for pid in one.pids)


def test_a_program_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    one = Started(tmp_path, "one", STUBBORN)

    async def scenario() -> None:
        stop = asyncio.Event()
        await Supervisor((one.program,), lambda _line: None).run(stop, stop.set)

    asyncio.run(scenario())
    assert len(one.pids) == 1
    assert not is_alive(one.pids[0])


def test_a_program_that_cannot_be_started_again_ends_no_other(tmp_path: Path) -> None:
    one, two = Started(tmp_path, "one"), Started(tmp_path, "two")
    said: list[str] = []

    async def scenario() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        supervisor = Supervisor((one.program, two.program), said.append, first_delay=0.01)
        task = asyncio.create_task(supervisor.run(stop, ready.set))
        await ready.wait()
        log = two.program.log
        assert log is not None
        log.unlink()
        log.mkdir()  # stands for no descriptor, no memory or no process left: OSError at the start
        os.kill(two.pids[0], signal.SIGKILL)
        await until(lambda: len(said) >= 3)
        assert is_alive(one.pids[0])
        log.rmdir()
        await until(lambda: len(two.pids) == 2)
        stop.set()
        await task

    asyncio.run(scenario())
    assert len(one.pids) == 1
    assert "two cannot be started: Is a directory; trying again in 0.02 s" in said


def test_what_ends_after_it_was_replaced_while_away_is_said(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")
    said: list[str] = []

    async def scenario() -> None:
        stop, ready = asyncio.Event(), asyncio.Event()
        supervisor = Supervisor((one.program,), said.append, first_delay=0.5)
        task = asyncio.create_task(supervisor.run(stop, ready.set))
        await ready.wait()
        os.kill(one.pids[0], signal.SIGKILL)
        await until(lambda: len(said) == 1)
        await supervisor.replace("one")
        await until(lambda: len(one.pids) == 2)
        os.kill(one.pids[1], signal.SIGKILL)
        await until(lambda: len(one.pids) == 3)
        stop.set()
        await task

    asyncio.run(scenario())
    assert len(said) == 2


def test_a_signal_that_is_passed_on_before_a_program_is_ready_for_it_does_not_end_it(tmp_path: Path) -> None:
    code = (
        "import os,signal,sys; [os.kill(os.getpid(), n) for n in (signal.SIGHUP, signal.SIGUSR2)];" + COUNTING
    )
    one = Started(tmp_path, "one", code)

    async def scenario() -> None:
        stop = asyncio.Event()
        await Supervisor((one.program,), lambda _line: None).run(stop, stop.set)

    asyncio.run(scenario())
    assert len(one.pids) == 1


def test_stopping_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")
    waiting = Started(tmp_path, "waiting")
    never_ready = Program("never", waiting.program.command, waiting.program.log, lambda: False)

    async def scenario() -> None:
        stop = asyncio.Event()
        supervisor = Supervisor((one.program, never_ready), lambda _line: None)
        task = asyncio.create_task(supervisor.run(stop, lambda: None))
        await until(lambda: bool(waiting.pids))
        stop.set()
        await task

    asyncio.run(scenario())
    assert not any(is_alive(pid) for pid in one.pids + waiting.pids)


def test_programs_end_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")
    child = [sys.executable, "-m", "authz_service.proxy.child"]
    parent = (
        "import os,subprocess,sys; subprocess.Popen([*sys.argv[1:4], str(os.getpid()), *sys.argv[4:]]).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", parent, *child, *one.program.command]) as process:
        asyncio.run(until(lambda: bool(one.pids)))
        process.kill()
    asyncio.run(until(lambda: not is_alive(one.pids[0])))


def test_a_child_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")
    child = [sys.executable, "-m", "authz_service.proxy.child", "1"]
    assert subprocess.run([*child, *one.program.command], check=False).returncode == 1
    assert one.pids == []


def test_what_programs_write_is_for_this_user_only(tmp_path: Path) -> None:
    one = Started(tmp_path, "one")

    async def scenario() -> None:
        stop = asyncio.Event()
        await Supervisor((one.program,), lambda _line: None).run(stop, stop.set)

    asyncio.run(scenario())
    assert one.program.log is not None
    assert one.program.log.stat().st_mode & 0o077 == 0
    assert one.file.stat().st_mode & 0o077 == 0
