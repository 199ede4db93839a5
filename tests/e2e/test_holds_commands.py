"""`authz hold` and `authz session` against a running gateway: what scripts may rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import openai
import pytest
from tests.e2e.people import (
    approve,
    ask,
    asking,
    hold_of,
    in_background,
    received,
    reject,
    reviewer,
    said,
    sha256,
)
from tests.e2e.stack import Stack, environment


@pytest.fixture
def held(stack: Stack, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A hold of somebody of the test's own; it is rejected afterwards if it is still there."""
    subject = request.node.name.removeprefix("test_")[:40]
    waiting = asking(stack, subject, f"The question of {subject}")
    hold = hold_of(stack, subject)
    yield hold
    stack.cli("hold", "reject", hold["id"], "--reason", "the test is over", check=None)
    waiting.exception(60)


def utc(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    assert text.endswith("Z")
    return at


def test_hold_list_says_what_scripts_rely_on(stack: Stack, held: dict[str, Any]) -> None:
    (listed,) = [hold for hold in stack.holds() if hold["id"] == held["id"]]
    assert listed["state"] == "pending"
    assert listed["caller"].items() >= {"groups": ["contractors"], "issuer": "urn:authz:embedded"}.items()
    assert listed["caller"]["subject"] == held["caller"]["subject"]
    assert (listed["model"], listed["rule"], listed["waiting"]) == ("llama", "contractors", 1)
    assert len(listed["digest"]) == 64
    assert (utc(listed["deadline"]) - utc(listed["created_at"])).total_seconds() == 1800


def test_hold_list_is_filtered_by_caller_state_rule_and_model(stack: Stack, held: dict[str, Any]) -> None:
    subject = held["caller"]["subject"]

    def ids(*filters: str) -> list[str]:
        return [hold["id"] for hold in stack.holds("--caller", subject, *filters)]

    for filters in ((), ("--state", "pending"), ("--rule", "contractors"), ("--model", "llama")):
        assert ids(*filters) == [held["id"]]
    for filters in (("--state", "released"), ("--rule", "staff"), ("--model", "gpt-5")):
        assert ids(*filters) == []


def test_hold_show_has_the_body_that_would_go_out(stack: Stack, held: dict[str, Any]) -> None:
    shown = stack.cli_json("hold", "show", held["id"][:-2])
    assert shown["id"] == held["id"]
    assert sha256(shown["forward"].encode()) == shown["digest"]
    question = json.loads(shown["forward"])["messages"][0]["content"]
    assert question in stack.cli("hold", "show", held["id"]).stdout


def test_hold_watch_tells_what_is_open_and_each_change(stack: Stack, held: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "authz_cli.main", "hold", "watch", "--json"]
    env = environment() | {"AUTHZ_DATA_DIR": str(stack.data)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as watching:
        try:
            assert watching.stdout is not None
            lines = (json.loads(line) for line in watching.stdout)
            seen = next(line for line in lines if line["id"] == held["id"])
            assert seen["state"] == "pending"
            reject(stack, held, "seen")
            assert next(line for line in lines if line["id"] == held["id"])["state"] == "rejected"
        finally:
            watching.terminate()


def test_a_decision_is_said_as_json(stack: Stack, held: dict[str, Any]) -> None:
    decided = stack.cli_json("hold", "approve", held["id"], "--yes", "--reason", "go on")
    assert (decided["id"], decided["state"]) == (held["id"], "approved")
    (vote,) = decided["votes"]
    assert (vote["verdict"], vote["reason"], vote["digest"]) == ("approve", "go on", held["digest"])


def test_each_way_to_fail_has_its_exit_code(stack: Stack, held: dict[str, Any]) -> None:
    def code(*arguments: str, token: str | None = None) -> int:
        done = stack.cli(*arguments, check=None, token=token)
        assert "Traceback" not in done.stderr
        return done.returncode

    name = held["id"]
    assert code("hold", "approve", name) == 2  # there is no terminal to ask on
    assert code("hold", "reject", name) == 2  # without a reason
    assert code("hold", "show", "hold_unknown") == 3
    assert code("session", "show", "ses_unknown") == 3
    assert code("hold", "approve", name, "--yes", "--digest", "0" * 64) == 4
    assert code("hold", "list", token="no token") == 5
    assert code("hold", "list", token=stack.token("sam", "staff", review=True)) == 5
    assert code("session", "list", token=reviewer(stack, "rita")) == 5  # reviewers are not auditors
    assert code("hold", "list", "--server", f"unix:{stack.folder}/nobody.sock") == 6
    assert code("hold", "approve", name, "--yes") == 0
    assert code("hold", "reject", name, "--reason", "too late") == 4


def test_session_list_says_what_scripts_rely_on(stack: Stack) -> None:
    ask(stack.sdk("uma", "staff"), "Good day")
    (listed,) = stack.cli_json("session", "list", "--caller", "uma")
    assert listed["caller"].items() >= {"subject": "uma", "groups": ["staff"]}.items()
    assert (listed["model"], listed["decision"], listed["rule"]) == ("llama", "allow", "staff")
    assert listed["status"] == "completed"
    assert utc(listed["started_at"]) <= utc(listed["ended_at"])
    assert (listed["prompt_tokens"], listed["completion_tokens"]) == (3, 3)
    assert stack.cli_json("session", "list", "--caller", "uma", "--decision", "deny") == []


def test_session_show_tells_the_whole_story_of_a_hold(stack: Stack) -> None:
    client = stack.sdk("val", "contractors", max_retries=0)
    waiting = in_background(lambda: ask(client, "Tell val@example.com a story"))
    hold = hold_of(stack, "val")
    approve(stack, hold, token=reviewer(stack, "rita"))
    assert said(waiting.result(60)) == "Hello from upstream."
    session = stack.session(hold["session"])
    assert [event["kind"] for event in session["events"]] == [
        "request.received",
        "request.decided",
        "hold.opened",
        "session.read",  # by whoever approves it
        "hold.voted",
        "hold.approved",
        "request.decided",
        "request.released",
        "answer.started",
        "answer.decided",
        "answer.released",
        "exchange.ended",
        "session.read",
    ]
    times = [utc(event["at"]) for event in session["events"]]
    assert times == sorted(times)
    assert session["request"].encode() == received(stack, "a story")[0]
    assert "Hello from upstream." in session["answer"]
    assert "val@example.com" not in json.dumps(session)
    (vote,) = [event for event in session["events"] if event["kind"] == "hold.voted"]
    payloads = {payload["name"]: payload["body"] for payload in vote["payloads"]}
    assert json.loads(payloads["voter"])["name"] == "rita"
    assert payloads["reason"] == "fine"


def test_session_show_of_a_refusal_says_that_nothing_went_out(stack: Stack) -> None:
    with pytest.raises(openai.PermissionDeniedError) as refused:
        ask(stack.sdk("wes"), "Hello?")
    session = stack.session(refused.value.response.headers["x-authz-session"])
    assert (session["decision"], session["status"]) == ("deny", "denied")
    assert (session["request"], session["answer"]) == (None, None)
    assert "Hello?" in json.dumps(session)  # what was asked is on record all the same
