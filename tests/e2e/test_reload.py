"""SIGHUP takes in the file as a whole, or changes nothing and says why."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import openai
import pytest
from tests.e2e.people import ask, asking, hold_of, in_background, reject, said, until
from tests.e2e.stack import CONFIG, Stack

from authz_cli.options import Target
from authz_cli.session_client import connect

GUESTS = CONFIG.replace(
    "answers:\n", "    - {{name: guests, when: \"'guests' in caller.groups\", effect: allow}}\nanswers:\n", 1
)
THREE_MISTAKES = (
    GUESTS.replace("'staff' in caller.groups\", effect: allow", "'staff' in caller.groupes\", effect: allow")
    .replace("entities: [EMAIL_ADDRESS,", "entities: [EMAIL_ADRESS,")
    .replace("pending_per_caller: 20", "pending_per_caller: many")
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("reload")) as running:
        yield running


@pytest.fixture
def stack(gateway: Stack) -> Iterator[Stack]:
    """The gateway, with the first file in force again after each test."""
    yield gateway
    gateway.config = CONFIG
    gateway.reload()


def line_of(stack: Stack, text: str) -> int:
    lines = stack.config_file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def recorded(stack: Stack, kind: str) -> list[dict[str, Any]]:
    """The entries of a kind, in order."""
    with closing(sqlite3.connect(f"file:{stack.data / 'authz.db'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT body FROM entries ORDER BY seq").fetchall()
    entries = [json.loads(body) for (body,) in rows]
    return [entry for entry in entries if entry["kind"] == kind]


def test_new_rules_are_in_force_without_a_restart(stack: Stack) -> None:
    guest = stack.sdk("gil", "guests", max_retries=0)
    with pytest.raises(openai.PermissionDeniedError):
        ask(guest, "Hello")
    pid = stack.child("serve")
    stack.config = GUESTS
    activated = stack.reload()
    assert activated["event"] == "policy.activated"
    assert said(ask(guest, "Hello")) == "Hello from upstream."
    assert stack.child("serve") == pid
    (session,) = stack.cli_json("session", "list", "--caller", "gil", "--decision", "allow")
    shown = stack.session(session["id"])
    (decided,) = [event for event in shown["events"] if event["kind"] == "request.decided"]
    assert decided["data"]["policy"] == activated["policy"]


def test_what_is_in_force_after_a_reload_is_on_record_with_its_file(stack: Stack) -> None:
    before = recorded(stack, "policy.activated")
    stack.config = GUESTS
    told = stack.reload()
    after = recorded(stack, "policy.activated")
    assert after[:-1] == before
    assert after[-1]["data"] == {"policy": told["policy"]}
    assert told["policy"] != before[-1]["data"]["policy"]
    digest = after[-1]["data"]["policy"]
    with connect(Target(None, None, None, stack.data, is_data_dir_named=True)) as client:
        assert client.policy(digest) == stack.config_file.read_bytes()


def test_what_is_held_stays_held_over_a_reload(stack: Stack) -> None:
    waiting = asking(stack, "hew", "Hold on")
    hold = hold_of(stack, "hew")
    stack.config = GUESTS
    stack.reload()
    assert hold_of(stack, "hew")["id"] == hold["id"]
    reject(stack, hold, "not now")
    with pytest.raises(openai.PermissionDeniedError, match="not now"):
        waiting.result(60)


def test_a_file_with_three_mistakes_keeps_the_last_good_rules_and_names_all_three(stack: Stack) -> None:
    stack.config = THREE_MISTAKES
    kept = stack.reload()
    assert (kept["event"], kept["level"]) == ("policy.kept", "error")
    mistakes = ("caller.groupes", "EMAIL_ADRESS", "pending_per_caller: many")
    places = [f"authz.yaml:{line_of(stack, text)}:" for text in mistakes]
    checked = stack.cli("policy", "check", str(stack.config_file), check=2)
    for place in places:
        assert place in kept["error"]
        assert place in checked.stdout + checked.stderr
    assert kept["error"].count("authz.yaml:") == 3
    refused = until(lambda: recorded(stack, "policy.refused"), "an entry")[-1]
    assert (refused["data"]["policy"], refused["data"]["code"]) == (kept["policy"], "bad_configuration")
    assert list(refused["payloads"]) == ["error"]
    # The rules as they were, guests and all.
    assert said(ask(stack.sdk("ike", "staff"), "I am ike@example.org")) == "Hello from upstream."
    assert stack.upstream.requests[-1].json()["messages"][0]["content"] == "I am [EMAIL_ADDRESS]"
    with pytest.raises(openai.PermissionDeniedError):
        ask(stack.sdk("gil", "guests"), "Hello")
    stack.config = GUESTS
    assert stack.reload()["event"] == "policy.activated"
    assert said(ask(stack.sdk("gil", "guests"), "Hello"))


def test_what_takes_a_restart_is_said_and_nothing_of_the_file_is_taken(stack: Stack) -> None:
    stack.config = GUESTS.replace("aliases: [gpt-4o]", "aliases: [gpt-5]")
    kept = stack.reload()
    assert kept["event"] == "policy.kept"
    assert "models" in kept["error"]
    assert "restart" in kept["error"]
    with pytest.raises(openai.PermissionDeniedError):
        ask(stack.sdk("gil", "guests"), "Hello")


def test_the_service_itself_takes_the_signal_too(stack: Stack) -> None:
    before = len(stack.service_log("policy.activated"))
    os.kill(stack.child("serve"), signal.SIGHUP)
    until(lambda: len(stack.service_log("policy.activated")) > before, "a reload")


def test_requests_during_a_reload_are_all_answered(stack: Stack) -> None:
    client = stack.sdk("jo", "staff", max_retries=0)
    asked = [in_background(lambda: ask(client, "Go on")) for _ in range(8)]
    stack.config = GUESTS
    stack.reload()
    assert [said(future.result(60)) for future in asked] == ["Hello from upstream."] * 8


def test_a_lone_service_that_is_asked_to_replace_its_processes_goes_on_and_says_why(gateway: Stack) -> None:
    os.kill(gateway.child("serve"), signal.SIGUSR2)
    (line,) = until(lambda: gateway.service_log("service.restart_kept"), "a line in its log")
    assert "--workers" in line["note"]
    assert said(ask(gateway.sdk("ann", "staff"), "Are you there?")) == "Hello from upstream."
