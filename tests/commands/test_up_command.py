"""`authz up` from its first start to its end: what it prints works, and it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.e2e.stack import free_port

from authz_service.keys.data_dir import DataDir

pytestmark = pytest.mark.e2e
ENDS = 100
"""Seconds for a process to end, on a machine with much else to do."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "authz_cli.main", *arguments]


class Up:
    """A running `authz up`; `printed` is everything it has said until it was ready."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.data = DataDir(folder)
        self.printed = ""
        assert process.stdout is not None
        for line in process.stdout:
            self.printed += line
            if "Ctrl-C" in line:
                return
        raise AssertionError(self.printed)

    @property
    def children(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    @property
    def lines(self) -> list[str]:
        """What is to be pasted."""
        return [
            line for line in self.printed.splitlines() if line.startswith("curl") or "hold approve" in line
        ]


@contextmanager
def running(folder: Path, *options: str) -> Iterator[Up]:
    process = subprocess.Popen(
        command("up", "--data-dir", str(folder), "--listen", f"127.0.0.1:{free_port()}", *options),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Up(process, folder)
    finally:
        process.terminate()
        process.communicate(timeout=ENDS)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for_end(pid: int) -> None:
    """Until the process has ended: a pidfd becomes readable then."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            import select

            assert select.select([descriptor], [], [], ENDS)[0], f"{pid} still runs"
        finally:
            os.close(descriptor)


def paste(line: str) -> str:
    """What a shell prints for a line."""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=ENDS, check=False)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One that runs, for tests that leave it as it is."""
    with running(tmp_path_factory.mktemp("up") / "data") as up:
        yield up


def test_what_it_prints_to_try_works_when_pasted(up: Up) -> None:
    assert shutil.which("curl"), "the lines to try use curl"
    allowed, held, approve, denied = up.lines
    assert "Write a haiku about doors" in said(paste(allowed))
    assert json.loads(paste(denied))["error"]["code"] == "request_denied"
    with subprocess.Popen(["bash", "-c", held], stdout=subprocess.PIPE, text=True) as waiting:
        watch = command("hold", "watch", "--data-dir", str(up.data.root), "--json")
        with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            watching.stdout.readline()
            watching.terminate()
        assert "is approved" in paste(approve)
        assert "Plan a party" in said(waiting.communicate(timeout=ENDS)[0])


def said(answer: str) -> str:
    """What the model said."""
    return str(json.loads(answer)["choices"][0]["message"]["content"])


def test_it_says_where_everything_is_for_this_user_only(up: Up) -> None:
    addresses = json.loads(up.data.up.read_text())
    assert addresses.keys() == {"gateway", "review", "metrics", "pid"}
    assert addresses["review"] == f"unix:{up.data.review_socket}"
    assert len(up.children) == 3
    files = [path for path in up.data.root.rglob("*") if path.is_file()]
    assert [path for path in files if path.stat().st_mode & 0o077] == []


def test_a_second_one_on_the_same_directory_is_refused(up: Up) -> None:
    second = subprocess.run(
        command("up", "--data-dir", str(up.data.root)), capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert f"process {up.process.pid}" in second.stderr
    assert second.stderr.count("\n") == 1
    assert up.data.up.exists()


def test_nothing_outlives_it_killed_or_stopped_and_the_next_start_works(tmp_path: Path) -> None:
    with running(tmp_path / "data") as up:
        children = up.children
        up.process.kill()
        for pid in children:
            wait_for_end(pid)
    with running(tmp_path / "data") as up:
        children = up.children
        assert len(children) == 3
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(ENDS) == 0
        assert not any(is_alive(pid) for pid in children)
        assert not up.data.up.exists()


def test_nobody_is_given_the_port_of_the_metrics_while_the_service_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path / "data") as up:
        port = urlsplit(json.loads(up.data.up.read_text())["metrics"]).port
        (service,) = (
            pid for pid in up.children if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        )
        os.kill(service, signal.SIGKILL)
        wait_for_end(service)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            command("up", "--data-dir", str(tmp_path / "data"), "--listen", address),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert address in done.stderr
    assert "--listen" in done.stderr


def test_beyond_this_machine_it_wants_tls_or_to_be_told(tmp_path: Path) -> None:
    done = subprocess.run(
        command("up", "--data-dir", str(tmp_path / "data"), "--listen", f"0.0.0.0:{free_port()}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--insecure" in done.stderr
