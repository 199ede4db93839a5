"""What waits through a kill is judged by the rules of then: what they deny is nobody's to decide any more."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.e2e.people import asking, hold_of, received, state_of, until
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("settled")) as running:
        yield running


def kill_the_service(stack: Stack) -> None:
    killed = stack.child("serve")
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        return killed not in stack.processes() and stack.cli("hold", "list", check=None).returncode == 0

    until(is_back, "another service")


def test_the_hold_of_requests_that_are_denied_after_a_kill_ends_with_the_last_of_them(stack: Stack) -> None:
    waiting = [asking(stack, "di", "Let me through") for _ in range(2)]
    hold = hold_of(stack, "di", waiting=2)
    config = stack.config_file.read_text()
    denying = config.replace("effect: hold, approval: security", "effect: deny")
    assert denying != config
    stack.config_file.write_text(denying)
    try:
        kill_the_service(stack)
        for each in waiting:
            with pytest.raises(openai.PermissionDeniedError) as refused:
                each.result(60)
            assert refused.value.code == "request_denied"
        assert state_of(stack, hold) == "superseded"
        (found,) = stack.holds("--all-states", "--caller", "di")
        last: Any = stack.session(found["superseded_by"])
        assert (last["hold"], last["status"], last["decision"]) == (hold["id"], "denied", "deny")
        assert "exchange.resumed" in [event["kind"] for event in last["events"]]
        assert "is superseded" in stack.cli("hold", "approve", hold["id"], "--yes", check=4).stderr
        page = " ".join(stack.cli("hold", "show", hold["id"]).stdout.split())
        assert f"by session {last['id']}, whose request the rules refuse by now" in page
        assert received(stack, "Let me through") == []
        stack.stop()
        assert json.loads(stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout)[
            "ok"
        ]
    finally:
        stack.config_file.write_text(config)
