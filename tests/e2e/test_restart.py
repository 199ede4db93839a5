"""Stopping, killing and starting again: nothing is left running, and nothing that waited is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import httpx
import openai
import pytest
from tests.e2e.faults import kill_up
from tests.e2e.people import (
    approve,
    ask,
    asking,
    contractor,
    hold_of,
    in_background,
    left_waiting,
    received,
    said,
    state_of,
    until,
)
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that these tests stop and start as they like."""
    with Stack(tmp_path_factory.mktemp("restart")) as running:
        yield running


def accepts_connections(stack: Stack, url: str) -> bool:
    try:
        httpx.get(url, timeout=2)
    except httpx.TransportError:
        return False
    return True


def test_a_stop_leaves_no_process_and_a_start_finds_everything_again(stack: Stack) -> None:
    answered = ask(stack.sdk("amy", "staff"), "Before the stop")
    pending = left_waiting(stack, "bo", "Wait for me")
    approved = left_waiting(stack, "cy", "Approved before")
    approve(stack, approved)
    holds, sessions = stack.holds("--all-states"), stack.cli_json("session", "list")
    url, running = stack.url, stack.processes()
    assert len(running) >= 3  # authz up, the service, Envoy

    stack.stop()
    assert stack.processes() == {}
    assert not (stack.data / "up.json").exists()
    assert not accepts_connections(stack, url)
    assert "is `authz up` running?" in stack.cli("hold", "list", check=6).stderr

    stack.start()
    assert stack.url == url
    assert stack.holds("--all-states") == holds
    assert stack.cli_json("session", "list") == sessions
    assert said(answered)
    # The approval counts, once, and what was pending is found again.
    assert said(ask(contractor(stack, "cy"), "Approved before"))
    assert state_of(stack, approved) == "released"
    again = asking(stack, "bo", "Wait for me")
    assert hold_of(stack, "bo")["id"] == pending["id"]
    approve(stack, pending)
    assert said(again.result(60))
    assert len(received(stack, "Wait for me")) == len(received(stack, "Approved before")) == 1


def test_an_sdk_that_waits_through_a_restart_gets_its_answer(stack: Stack) -> None:
    client = stack.sdk("di", "contractors", max_retries=30)
    waiting = in_background(lambda: ask(client, "I have patience"))
    hold = hold_of(stack, "di")
    stack.stop()
    assert received(stack, "I have patience") == []
    stack.start()
    again = hold_of(stack, "di")
    assert again["id"] == hold["id"]
    approve(stack, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    assert len(received(stack, "I have patience")) == 1


def test_an_sdk_that_waits_while_the_service_is_killed_gets_its_answer_once(stack: Stack) -> None:
    client = stack.sdk("dot", "contractors", max_retries=30)
    waiting = in_background(lambda: ask(client, "Still here"))
    hold = hold_of(stack, "dot")
    killed = stack.child("serve")
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        return killed not in stack.processes() and stack.cli("hold", "list", check=None).returncode == 0

    until(is_back, "another service")
    assert hold_of(stack, "dot")["id"] == hold["id"]
    approve(stack, hold)
    assert said(waiting.result(60)) == "Hello from upstream."
    assert len(received(stack, "Still here")) == 1


def test_a_killed_authz_up_leaves_nothing_running_and_starts_again(stack: Stack) -> None:
    waiting = asking(stack, "ed", "Do not forget me")
    hold = hold_of(stack, "ed")
    url = stack.url
    kill_up(stack)
    assert not accepts_connections(stack, url)
    with pytest.raises(openai.APIConnectionError):
        waiting.result(60)
    # What it could not take away is not believed by whoever starts next.
    assert (stack.data / "up.json").exists()
    good = stack.config_file.read_text()
    stack.config_file.write_text("version: 7\n")
    stack.cli("up", "--config", str(stack.config_file), "--data-dir", str(stack.data), check=2)
    assert not (stack.data / "up.json").exists()
    stack.config_file.write_text(good)

    stack.start()
    session = stack.session(hold["session"])
    assert session["status"] != "held"
    assert session["events"][-2]["kind"] == "exchange.recovered"
    assert session["events"][-2]["data"] == {"answer_released": False, "request_released": False}
    again = asking(stack, "ed", "Do not forget me")
    assert hold_of(stack, "ed")["id"] == hold["id"]
    approve(stack, hold)
    assert said(again.result(60))
    assert len(received(stack, "Do not forget me")) == 1
