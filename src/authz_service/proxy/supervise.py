"""Runs programs together: starts them in order, again when one ends, and stops them all."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

from authz_service.errors import Misconfigured

FIRST_DELAY = 0.5  # seconds before a program that ended is started again; doubled each time
LONGEST_DELAY = 15.0
STEADY = 60.0  # seconds after which a program counts as well, and its delay begins anew
LARGEST_LOG = 16 * 1024 * 1024
SMALLEST_DISK = 64 * 1024
_POLL = 0.05


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run. `is_ready` is asked, on a thread, until it is true; it must not wait long.

    `starts_within` and `stops_within` are in seconds; what has not stopped by then is killed. Without a
    `log` it writes to our own standard error. One that is `beside` starts and stops at the same time as the
    one before it. One that `waits` is there from the first moment, and has to wait until its standard input
    ends, which is when its turn has come: to load takes long where others want the CPU. When it is started
    again its input has ended.
    """

    name: str
    command: tuple[str, ...]
    log: Path | None
    is_ready: Callable[[], bool]
    starts_within: float = 60.0
    stops_within: float = 10.0
    beside: bool = False
    waits: bool = False


@dataclass(slots=True)
class Supervisor:
    """Programs in the order in which they start; they stop in the opposite one, by `stop_signal`.

    `say` is told, in one line each, what an operator should know.
    """

    programs: tuple[Program, ...]
    say: Callable[[str], None]
    first_delay: float = FIRST_DELAY
    stop_signal: Signals = SIGTERM
    ends: Counter[str] = field(default_factory=Counter)
    """How often each program ended that nobody had asked to."""
    _running: dict[str, Process] = field(default_factory=dict)
    _replaced: set[str] = field(default_factory=set)

    async def run(
        self,
        stop: asyncio.Event,
        when_ready: Callable[[], None],
        farewell: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Start everything, call `when_ready`, and keep it running until `stop` is set.

        Then `farewell` is waited for, before the rest is stopped.

        Raises `Misconfigured` when a program does not become ready the first time. Whatever happens,
        no program runs any more when this returns.
        """
        stopping = asyncio.create_task(stop.wait())
        working = asyncio.create_task(self._start_and_keep(when_ready))
        try:
            await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
        finally:
            for task in (stopping, working):
                task.cancel()
            await asyncio.wait({stopping, working})
            try:
                if farewell is not None and stop.is_set():
                    await farewell()
            finally:
                await self._stop_all()

    def signal(self, name: str, number: Signals) -> None:
        """Send a signal to one of the programs, if it runs."""
        process = self._running.get(name)
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.send_signal(number)

    async def stop(self, name: str, number: Signals) -> None:
        """Stop one of the programs by this signal: for a farewell, after which nothing is started again."""
        await self._stop(self._named(name), number)

    def kill_all(self) -> None:
        """End every program at once, for an operator who does not want to wait for a stop."""
        for name in self._running:
            self.signal(name, SIGKILL)

    def _named(self, name: str) -> Program:
        (program,) = (program for program in self.programs if program.name == name)
        return program

    async def replace(self, name: str, number: Signals = SIGTERM) -> None:
        """Stop one of the programs by this signal and start it again; returns when it is ready.

        Raises `Misconfigured` when it does not become so; from then on it is tried again as what ended is.
        """
        program, before = self._named(name), self._running[name]
        if before.returncode is None:  # else it is about to be started anyway
            self._replaced.add(name)
        await self._stop(program, number)
        while self._running[name] is before:  # noqa: ASYNC110 - whoever keeps it starts it, in a moment
            await asyncio.sleep(_POLL)
        await self._until_ready(program)

    async def _start_and_keep(self, when_ready: Callable[[], None]) -> None:
        first, *others = self._groups()
        for program in (*first, *(program for group in others for program in group if program.waits)):
            await self._start(program, waits=program.waits)
        for group in (first, *others):
            for program in group:
                if program.waits:
                    self._let_go(program)
                elif group is not first:
                    await self._start(program)
            for program in group:
                await self._until_ready(program)
        when_ready()
        async with asyncio.TaskGroup() as tasks:
            for program in self.programs:
                tasks.create_task(self._keep(program))

    def _groups(self) -> list[list[Program]]:
        groups: list[list[Program]] = []
        for program in self.programs:
            if program.beside and groups:
                groups[-1].append(program)
            else:
                groups.append([program])
        return groups

    def _let_go(self, program: Program) -> None:
        """Its turn has come."""
        waiting = self._running[program.name].stdin
        if waiting is not None:
            waiting.close()

    async def _start(self, program: Program, *, waits: bool = False) -> None:
        wrapper = (sys.executable, "-m", "authz_service.proxy.child", str(os.getpid()))
        descriptor = os.dup(sys.stderr.fileno()) if program.log is None else _opened(program.log)
        try:
            # A session of its own: Ctrl-C in a terminal is for us, who stop the programs in order.
            starting = asyncio.create_subprocess_exec(
                *wrapper,
                *program.command,
                stdin=asyncio.subprocess.PIPE if waits else asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
            self._running[program.name] = await starting
        finally:
            os.close(descriptor)

    async def _until_ready(self, program: Program) -> None:
        process = self._running[program.name]
        try:
            async with asyncio.timeout(program.starts_within):
                while process.returncode is None:
                    if await asyncio.to_thread(program.is_ready):
                        return
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise Misconfigured(
                f"{program.name} was not ready within {program.starts_within:g} s; see {_place(program)}"
            ) from None
        said = "" if program.log is None else f": {last_line(program.log)}"
        raise Misconfigured(
            f"{program.name} ended at once (exit code {process.returncode}){said}; see {_place(program)}"
        )

    async def _keep(self, program: Program) -> None:
        clock = asyncio.get_running_loop().time
        delay = self.first_delay
        while True:
            began = clock()
            code = await self._running[program.name].wait()
            delay = self.first_delay if clock() - began > STEADY else delay
            if program.name in self._replaced:
                self._replaced.discard(program.name)
            else:
                self.ends[program.name] += 1
                where = "" if program.log is None else f" (its log: {program.log})"
                self.say(f"{program.name} {ended(code)}; starting it again in {delay:g} s{where}")
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)
            delay = await self._start_again(program, delay)

    async def _start_again(self, program: Program, delay: float) -> float:
        """Start it, when there is no process, memory or file to be had after a delay; the next delay."""
        while True:
            try:
                await self._start(program)
                return delay
            except OSError as error:  # that of one program is no reason to stop the others
                self.say(f"{program.name} cannot be started: {error.strerror}; trying again in {delay:g} s")
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_DELAY)

    async def _stop_all(self) -> None:
        for group in reversed(self._groups()):
            await asyncio.gather(*(self._stop(program, self.stop_signal) for program in group))

    async def _stop(self, program: Program, number: Signals) -> None:
        process = self._running.get(program.name)
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), program.stops_within)
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._let_go(program)


def _opened(log: Path) -> int:
    """The log file, to append to; one that has become large is put aside first."""
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _place(program: Program) -> str:
    return "what it said above" if program.log is None else str(program.log)


def ended(code: int) -> str:
    """How a process ended, in words."""
    return f"was ended by {Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def last_line(log: Path) -> str:
    """The last line of a log file that is not empty, cut to 300 characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return "it wrote nothing"
    lines = [line for line in lines if line]
    if not lines and shutil.disk_usage(log.parent).free < SMALLEST_DISK:
        return f"it wrote nothing, for the disk of {log.parent} is full"
    return lines[-1][:300] if lines else "it wrote nothing"
