"""Receivers are told of holds behind a real Envoy: signed, thin, at least once, and nobody waits for them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook
from tests.e2e.stack import CONFIG, Stack
from tests.notify.receiver import SECRET, Receiver

pytestmark = pytest.mark.e2e

NOTIFY = """\
notify:
  link: "https://reviews.example.com/{{{{hold}}}}"
  webhooks:
    - {{{{name: chat, url: "{chat}", secret: {{{{file: chat.secret}}}}, caller: name}}}}
    - {{{{name: pager, url: "{pager}", secret: {{{{env: PAGER}}}}, events: [approved]}}}}
"""
PROMPT = "a prompt that no receiver may see"


def config(chat: str, pager: str) -> str:
    text = CONFIG + NOTIFY.format(chat=chat, pager=pager)
    return text.replace("review:\n", "review:\n  operators: \"'reviewers' in person.groups\"\n")


@pytest.fixture
def chat() -> Iterator[Receiver]:
    with Receiver() as chat:
        yield chat


@pytest.fixture
def pager() -> Iterator[Receiver]:
    with Receiver() as pager:
        yield pager


@pytest.fixture
def stack(tmp_path: Path, chat: Receiver, pager: Receiver) -> Iterator[Stack]:
    (tmp_path / "chat.secret").write_text(SECRET)
    text = config(chat.url, pager.url)
    with Stack(tmp_path, config=text, environment={"PAGER": SECRET}) as stack:
        yield stack


def ask(stack: Stack) -> httpx.Response:
    """Ask as a contractor, who does not wait: 409, and the hold stays open."""
    body = {"model": "llama", "messages": [{"role": "user", "content": PROMPT}]}
    headers = {"authorization": f"Bearer {stack.token('alice', 'contractors')}", "prefer": "respond-async"}
    return httpx.post(f"{stack.url}/v1/chat/completions", json=body, headers=headers, timeout=60)


def listed(stack: Stack, **wanted: str) -> list[dict[str, Any]]:
    """None while the service is being started again."""
    options = [word for name, value in wanted.items() for word in (f"--{name}", value)]
    said = stack.cli("notify", "list", *options, "--json", check=None).stdout
    found: list[dict[str, Any]] = json.loads(said or "[]")
    return found


def until(stack: Stack, number: int, **wanted: str) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 60
    while len(found := listed(stack, **wanted)) < number:
        assert time.monotonic() < deadline, f"{found}\n{stack.logs()}"
        time.sleep(0.1)
    return found


def test_a_hold_is_told_from_its_opening_to_its_decision(
    stack: Stack, chat: Receiver, pager: Receiver
) -> None:
    assert ask(stack).status_code == 409
    (hold,) = stack.cli_json("hold", "list")
    opened = chat.of_type("hold.opened")
    told = Webhook(SECRET).verify(opened.body, dict(opened.headers))
    assert told["data"] | {"deadline": ""} == {
        "hold": hold["id"],
        "rule": "contractors",
        "caller": "alice",
        "model": "llama",
        "deadline": "",
        "link": f"https://reviews.example.com/{hold['id']}",
    }
    assert told["data"]["deadline"][:19] == hold["deadline"][:19]
    stack.cli("hold", "approve", hold["id"], "--yes", "--reason", "fine")
    assert chat.of_type("hold.approved").document["data"]["hold"] == hold["id"]
    paged = pager.of_type("hold.approved")
    assert Webhook(SECRET).verify(paged.body, dict(paged.headers))["data"]["caller"] != "alice"
    assert PROMPT.encode() not in b"".join(sent.body for sent in chat.sent + pager.sent)
    found = until(stack, 3, state="delivered")
    assert {(n["receiver"], n["event"], n["attempts"], n["last_error"]) for n in found} == {
        ("chat", "hold.opened", 1, None),
        ("chat", "hold.approved", 1, None),
        ("pager", "hold.approved", 1, None),
    }
    assert "delivered" in stack.cli("notify", "list").stdout
    assert stack.cli("audit", "verify", "--config", str(stack.config_file)).returncode == 0


def test_a_grant_is_told_from_its_proposal_to_its_last_use(stack: Stack, chat: Receiver) -> None:
    assert ask(stack).status_code == 409
    (hold,) = stack.cli_json("hold", "list")
    options = ("--from-hold", hold["id"], "--uses", "1", "--until", "1h")
    stack.cli("grant", "create", *options, "--yes", "--reason", "the same every day")
    (grant,) = stack.cli_json("grant", "list")
    for event in ("grant.proposed", "grant.created"):
        sent = chat.of_type(event)
        told = Webhook(SECRET).verify(sent.body, dict(sent.headers))["data"]
        assert (told["grant"], told["hold"], told["caller"]) == (grant["id"], hold["id"], "alice")
    assert ask(stack).status_code == 200
    assert chat.of_type("grant.used_up").document["data"]["grant"] == grant["id"]
    assert PROMPT.encode() not in b"".join(sent.body for sent in chat.sent)
    found = until(stack, 5, state="delivered", receiver="chat", hold=hold["id"])
    about = {n["event"]: n["grant"] for n in found}
    assert about["hold.superseded"] is None
    assert about["grant.used_up"] == grant["id"]
    assert grant["id"] in stack.cli("notify", "list").stdout
    assert stack.cli("audit", "verify", "--config", str(stack.config_file)).returncode == 0


def test_a_receiver_that_hangs_holds_up_no_hold_and_no_other(
    stack: Stack, chat: Receiver, pager: Receiver
) -> None:
    chat.go_on.clear()
    assert ask(stack).status_code == 409
    chat.until(1)
    (hold,) = stack.cli_json("hold", "list")
    stack.cli("hold", "approve", hold["id"], "--yes", "--reason", "fine")
    assert pager.of_type("hold.approved")
    assert ask(stack).status_code == 200
    chat.go_on.set()


def test_after_a_crash_the_same_notification_comes_again(stack: Stack, chat: Receiver) -> None:
    chat.go_on.clear()
    assert ask(stack).status_code == 409
    (first,) = chat.until(1)
    for process, command in stack.processes().items():
        if "authz_cli.main serve" in command or " serve " in command:
            os.kill(process, signal.SIGKILL)
    chat.go_on.set()
    second = chat.until(2, seconds=150.0)[1]
    assert (second.id, second.body) == (first.id, first.body)
    assert Webhook(SECRET).verify(second.body, dict(second.headers))
    (row,) = until(stack, 1, state="delivered")
    assert (row["id"], row["attempts"]) == (first.id, 2)


def test_a_failure_is_shown_and_can_be_tried_again(stack: Stack, chat: Receiver) -> None:
    chat.status = 500
    ask(stack)
    chat.until(1)
    deadline = time.monotonic() + 30
    while not (row := listed(stack, receiver="chat")[0])["last_error"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (row["state"], row["last_error"]) == ("queued", "it answers 500")
    said = stack.cli("notify", "test", "chat", check=1)
    assert "chat did not take it: it answers 500" in said.stderr
    assert stack.cli("notify", "retry", row["id"]).stdout.startswith(row["id"])
    chat.status = 204
    assert stack.cli("notify", "test", "chat").stdout == "chat took it\n"
    assert "notify.test" in [sent.type for sent in chat.sent]
    (row,) = until(stack, 1, state="delivered")
    stack.cli("notify", "retry", row["id"], check=4)
    stack.cli("notify", "retry", "ntf_none", check=3)
    missing = stack.cli("notify", "test", "nobody", check=3)
    assert "there are chat, pager" in missing.stderr
    somebody = stack.token("bob", "auditors", review=True)
    stack.cli("notify", "list", token=somebody, check=5)
    hold = stack.cli_json("hold", "show", row["hold"])
    entries = stack.cli_json("session", "show", hold["session"])["events"]
    assert "notification.retried" in [entry["kind"] for entry in entries]
    assert stack.cli("audit", "verify", "--config", str(stack.config_file)).returncode == 0


def test_a_reload_tells_others_and_a_missing_secret_is_refused(
    stack: Stack, chat: Receiver, pager: Receiver
) -> None:
    with Receiver() as new:
        (stack.folder / "chat.secret").rename(stack.folder / "moved")
        assert stack.reload()["event"] == "policy.kept"
        (stack.folder / "moved").rename(stack.folder / "chat.secret")
        stack.config = config(new.url, pager.url)
        assert stack.reload()["event"] == "policy.activated"
        ask(stack)
        assert new.of_type("hold.opened")
        assert chat.sent == []


def test_metrics_name_each_receiver(stack: Stack, chat: Receiver) -> None:
    ask(stack)
    until(stack, 1, state="delivered")
    deadline = time.monotonic() + 60
    while 'authz_notify_delivered_total{receiver="chat"} 1.0' not in (text := stack.metrics()):
        assert time.monotonic() < deadline, text  # it is counted once it is on record
    assert 'authz_notify_queued{receiver="pager"} 0.0' in text
    assert json.dumps(PROMPT) not in text
