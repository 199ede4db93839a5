"""The record of a running gateway: verified while it runs, exported, and found out when it is changed."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.e2e.people import approve, ask, asking, hold_of
from tests.e2e.stack import CONFIG, Stack

EVERY_SECOND = (
    "record: {{origin: example.com/gate, checkpoints: {{every: 1s, to: [{{syslog: 'udp://%s'}}]}}}}\n"
)


@pytest.fixture(scope="module")
def syslog() -> Iterator[socket.socket]:
    """Somewhere else that keeps checkpoints."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        yield receiver


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, syslog: socket.socket) -> Iterator[Stack]:
    address = "{}:{}".format(*syslog.getsockname())
    with Stack(tmp_path_factory.mktemp("audit"), config=CONFIG + EVERY_SECOND % address) as running:
        ask(running.sdk("amy", "staff"), "Hello")
        waiting = asking(running, "cal", "May I?")
        approve(running, hold_of(running, "cal"))
        waiting.result(60)
        yield running


def audit(stack: Stack, *arguments: str, check: int = 0) -> subprocess.CompletedProcess[str]:
    return stack.cli("audit", *arguments, "--config", str(stack.config_file), check=check)


def kept_elsewhere(syslog: socket.socket, folder: Path) -> Path:
    """The last checkpoint that came by syslog."""
    message = syslog.recv(65536)
    syslog.setblocking(False)
    try:
        while True:
            message = syslog.recv(65536)
    except BlockingIOError:
        syslog.settimeout(30)
    path = folder / "kept"
    path.write_text(json.loads(message[message.index(b"{") :])["checkpoint"])
    return path


def change(stack: Stack, statement: str) -> None:
    with sqlite3.connect(stack.data / "authz.db", timeout=60) as connection:
        connection.execute(statement)
    connection.close()


def test_a_running_gateways_record_is_verified_and_exported_for_others(
    stack: Stack, syslog: socket.socket, tmp_path: Path
) -> None:
    kept = kept_elsewhere(syslog, tmp_path)
    live = json.loads(audit(stack, "verify", "--checkpoint", str(kept), "--json").stdout)
    assert (live["ok"], live["origin"], live["wrong"]) == (True, "example.com/gate", [])
    key = audit(stack, "key").stdout.strip()
    assert live["key"] == key
    audit(stack, "export", str(tmp_path / "out"))
    command = [sys.executable, "-I", "-S", str(tmp_path / "out" / "verify.py"), "--json", "--key", key]
    done = subprocess.run([*command, "--checkpoint", str(kept)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["size"] >= live["size"] > 15
    assert report["entries"] == report["size"]


def test_a_changed_row_is_named(stack: Stack) -> None:
    stack.stop()
    change(stack, "UPDATE sessions SET model = 'another'")
    found = json.loads(audit(stack, "verify", "--json", check=1).stdout)["wrong"]
    assert {wrong["what"] for wrong in found} == {"its column model is not what its entries make of it"}
    change(stack, "UPDATE sessions SET model = 'llama'")
    assert json.loads(audit(stack, "verify", "--json").stdout)["ok"]
    stack.start()


def test_a_restored_backup_stops_the_start_until_somebody_says_why(stack: Stack, tmp_path: Path) -> None:
    stack.stop()
    shutil.copy(stack.data / "authz.db", tmp_path / "backup")
    stack.start()
    ask(stack.sdk("amy", "staff"), "After the backup")
    stack.stop()
    shutil.copy(tmp_path / "backup", stack.data / "authz.db")
    with pytest.raises(AssertionError, match="authz audit accept"):
        stack.start()
    stack.stop()
    audit(stack, "accept", "--reason", "the disk was replaced")
    assert "nothing to accept" in audit(stack, "accept", "--reason", "again", check=4).stderr
    stack.start()
    ask(stack.sdk("amy", "staff"), "And on")
    said = audit(stack, "verify").stdout
    assert "was given up" in said
    assert "everything fits" in said
    assert "in use" in audit(stack, "accept", "--reason", "while it runs", check=2).stderr


def test_a_rewritten_head_stops_traffic_and_the_next_start(stack: Stack) -> None:
    change(stack, "UPDATE head SET signature = zeroblob(68), root = zeroblob(32)")
    with pytest.raises(openai.APIStatusError) as refused:
        ask(stack.sdk("amy", "staff", max_retries=0), "Into a forged record?")
    assert refused.value.status_code == 503
    stack.stop()
    with pytest.raises(AssertionError, match="the record is damaged"):
        stack.start()
