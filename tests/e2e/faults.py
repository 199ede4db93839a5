"""What befalls the processes of a gateway in the end-to-end tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from tests.e2e.people import until
from tests.e2e.plain import HELLO, staff
from tests.e2e.stack import Stack

RESTART = 60.0
"""Seconds within which what was killed is back; it is started again ever later, the oftener it dies."""


def kill(stack: Stack, name: str) -> None:
    """kill -9 for the child of `authz up` that has `name` on its command line."""
    os.kill(stack.child(name), signal.SIGKILL)


def kill_service(stack: Stack) -> None:
    """End the service where it stands."""
    kill(stack, "serve")


@contextmanager
def suspended(stack: Stack) -> Iterator[None]:
    """Within the context the service is there, and does nothing."""
    process = stack.child("serve")
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
