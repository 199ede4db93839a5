"""What befalls the processes of a gateway in the end-to-end tests."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from tests.e2e.people import until
from tests.e2e.plain import HELLO, staff
from tests.e2e.stack import Stack

RESTART = 100.0
"""Seconds within which what was killed is back; it is started again ever later, the oftener it dies."""


def kill(stack: Stack, name: str) -> None:
    """kill -9 for the child of `authz up` that has `name` on its command line."""
    os.kill(stack.child(name), signal.SIGKILL)


def kill_service(stack: Stack) -> None:
    """End the service where it stands."""
    kill(stack, "serve")


def kill_up(stack: Stack) -> None:
    """kill -9 for `authz up`; returns when all that it ran has gone too, and another can take its place."""
    stack.process.kill()
    stack.process.wait()
    until(lambda: not stack.processes(), "the end of Envoy and the service")


def stop_service(stack: Stack) -> int:
    """Ask the service to end in order; it is started again like one that was killed. Its process id."""
    process = stack.child("serve")
    os.kill(process, signal.SIGTERM)
    return process


def until_gone(process: int) -> None:
    """Wait for the end of a process that was asked to stop: until then it answers reviewers."""

    def is_gone() -> bool:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_gone, "the process has ended", within=RESTART)


@contextmanager
def suspended(process: int) -> Iterator[None]:
    """Within the context the process is there, and does nothing."""
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def restart_envoy(stack: Stack, change: Callable[[str], str] = str) -> None:
    """Kill Envoy and wait for the next one, which reads its file as `change` has edited it."""
    file = stack.data / "envoy.yaml"
    file.write_text(change(file.read_text()))
    kill(stack, f" -c {file} ")
    assert_goes_on(stack)


def assert_goes_on(stack: Stack) -> None:
    """Requests are answered again, without anybody's doing."""

    def is_answered() -> bool:
        try:
            key = {"authorization": f"Bearer {staff(stack).token}", "content-type": "application/json"}
            address = f"{stack.url}/v1/chat/completions"
            return httpx.post(address, content=HELLO, headers=key, timeout=RESTART).status_code == 200
        except httpx.TransportError:
            return False

    until(is_answered, "traffic resumes", within=RESTART)


def held_again(stack: Stack, hold: dict[str, Any]) -> dict[str, Any]:
    """The same hold, once a connection waits for it in the restarted service."""
    subject = hold["caller"]["subject"]

    def look() -> list[dict[str, Any]]:
        listed = stack.cli("hold", "list", "--json", check=None).stdout or "[]"
        return [h for h in json.loads(listed) if h["caller"]["subject"] == subject and h["waiting"] == 1]

    (found,) = until(look, "the hold is waited for again", within=RESTART)
    assert (found["id"], found["digest"]) == (hold["id"], hold["digest"])
    return found
