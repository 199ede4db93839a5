"""Requests that a reviewer edits or answers, through Envoy with the official SDKs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from tests.e2e.faults import kill_up
from tests.e2e.people import (
    approve,
    ask,
    asking,
    chat,
    contractor,
    hold_of,
    in_background,
    own_hold,
    received,
    reject,
    reviewer,
    said,
    sha256,
)
from tests.e2e.stack import CONFIG, Stack, environment

from authz_cli.options import Target
from authz_cli.session_client import connect

ALONE = """\
  alone:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 1, within: 30m, editor_may_approve: true}}
  impersonal:
    stages:
      - {{reviewers: "person.subject != 'bob' || !has(findings.EMAIL_ADDRESS)", votes: 1, within: 30m}}
limits:"""
CONCEAL = """\
  conceal: [{{entities: [EMPLOYEE_ID], unless: "!('outside' in person.groups)"}}]
requests:"""
WITH_RULES = (
    CONFIG.replace("limits:", ALONE)
    .replace("requests:", CONCEAL, 1)
    .replace(
        "    - name: no-keys\n",
        """\
    - {{name: trainees, when: "'trainees' in caller.groups", effect: hold, approval: alone}}
    - {{name: guests, when: "'guests' in caller.groups", effect: hold, approval: impersonal}}
    - name: no-spam
      when: "has(findings.EMAIL_ADDRESS) && request.user_text.contains('newsletter')"
      effect: deny
    - {{name: no-bombs, when: "request.user_text.contains('bomb')", effect: deny}}
    - name: no-keys
""",
    )
    .replace(
        "    - name: no-aws-keys\n",
        """\
    - {{name: no-bombs, when: "answer.findings.EMPLOYEE_ID.count > 0", effect: deny}}
    - name: no-aws-keys
""",
    )
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("revised"), config=WITH_RULES) as running:
        yield running


def edit(
    stack: Stack, hold: dict[str, Any], body: bytes, *, check: int = 0
) -> subprocess.CompletedProcess[str]:
    """Put `body` in the place of a request, as whoever runs the tests."""
    file = stack.folder / "edited.json"
    file.write_bytes(body)
    return stack.cli("hold", "edit", hold["id"], "--file", str(file), "--yes", check=check)


def respond(
    stack: Stack, hold: dict[str, Any], text: str, *, check: int = 0
) -> subprocess.CompletedProcess[str]:
    file = stack.folder / "answer.txt"
    file.write_text(text)
    return stack.cli("hold", "respond", hold["id"], "--file", str(file), "--yes", check=check)


def waiting_body(stack: Stack, hold: dict[str, Any]) -> bytes:
    shown: str = stack.cli_json("hold", "show", hold["id"])["forward"]
    return shown.encode()


def test_the_edited_request_goes_to_the_model_once_somebody_else_has_approved_it(
    stack: Stack,
) -> None:
    client = contractor(stack, "ann")
    raw = in_background(
        lambda: client.chat.completions.with_raw_response.create(
            model="llama", messages=[{"role": "user", "content": "Buy 100 boats for a@b.example"}]
        )
    )
    hold = hold_of(stack, "ann")
    before = waiting_body(stack, hold)
    assert b"[EMAIL_ADDRESS]" in before
    done = edit(stack, hold, before.replace(b"100 boats", b"1 boat"))
    assert "-  │ Buy 100 boats" in done.stdout
    assert "+  │ Buy 1 boat" in done.stdout
    now = hold_of(stack, "ann")
    assert now["edited"]
    assert now["digest"] == sha256(before.replace(b"100 boats", b"1 boat"))
    assert own_hold(stack, hold, "ann").json()["edited"]
    assert "what you edited" in approve(stack, now, check=5)
    assert received(stack, "boat") == []
    approve(stack, now, token=reviewer(stack, "bob"))
    answer = raw.result(60)
    assert answer.headers["x-authz-edited"] == "true"
    assert received(stack, "boat") == [before.replace(b"100 boats", b"1 boat")]
    session = stack.session(answer.headers["x-authz-session"])
    (edited,) = [event for event in session["events"] if event["kind"] == "hold.edited"]
    changes = changes_in(stack, session["id"])
    assert sha256(before) != now["digest"]
    assert changes == [
        {
            "path": ["messages", 0, "content"],
            "before": "Buy 100 boats for [EMAIL_ADDRESS]",
            "after": "Buy 1 boat for [EMAIL_ADDRESS]",
        }
    ], edited


def changes_in(stack: Stack, session: str) -> Any:
    """What the entry of an edit says that it changed."""
    with connect(Target(None, None, None, stack.data, is_data_dir_named=True)) as client:
        _, entries = client.session(session)
    (edit,) = [entry for entry in entries if entry.kind == "hold.edited"]
    return json.loads(next(payload.body for payload in edit.payloads if payload.name == "changes"))


def test_a_vote_on_what_was_edited_since_is_void(stack: Stack) -> None:
    hold_config = stack.reload(votes="2")
    assert hold_config
    try:
        waiting = asking(stack, "bea", "Buy 100 bikes")
        hold = hold_of(stack, "bea")
        before = waiting_body(stack, hold)
        approve(stack, hold, token=reviewer(stack, "bob"))
        edit(stack, hold, before.replace(b"100", b"2"))
        edit(stack, hold, before)  # back again: the vote stays void
        now = hold_of(stack, "bea")
        assert now["digest"] == hold["digest"]
        approve(stack, now, token=reviewer(stack, "cyd"))
        assert hold_of(stack, "bea")["state"] == "pending"
        approve(stack, now, token=reviewer(stack, "bob"))
        assert said(waiting.result(60)) == "Hello from upstream."
    finally:
        stack.reload(votes="1")


def test_the_editor_may_approve_where_the_stage_says_so(stack: Stack) -> None:
    waiting = in_background(lambda: ask(stack.sdk("tim", "trainees", max_retries=0), "Buy 100 tents"))
    hold = hold_of(stack, "tim")
    edit(stack, hold, waiting_body(stack, hold).replace(b"100", b"3"))
    approve(stack, hold_of(stack, "tim"))
    waiting.result(60)
    assert len(received(stack, "3 tents")) == 1


def test_an_edit_that_must_not_be_changes_nothing(stack: Stack) -> None:
    waiting = asking(stack, "col", "Buy cars for a@b.example")
    hold = hold_of(stack, "col")
    body = waiting_body(stack, hold)
    for old, new, words, code in (
        (b"cars", b"bombs", "no-bombs denies", 5),
        (b"[EMAIL_ADDRESS]", b"everybody", "placeholder", 2),
        (b"[EMAIL_ADDRESS]", b"[EMAIL_ADDRESS] [EMAIL_ADDRESS]", "placeholder", 2),
        (b'"llama"', b'"other"', "model", 2),
        (b'"role"', b'"roll"', "", 2),
        (b"cars", b"cars", "nothing was edited", 1),
    ):
        assert words in edit(stack, hold, body.replace(old, new), check=code).stderr
    assert hold_of(stack, "col")["digest"] == hold["digest"]
    reject(stack, hold, "enough")
    with pytest.raises(openai.PermissionDeniedError):
        waiting.result(60)


def test_what_is_masked_counts_in_an_edited_request_too(stack: Stack) -> None:
    client = stack.sdk("gus", "guests", max_retries=0)
    waiting = in_background(lambda: ask(client, "Buy 100 boats for a@b.example"))
    hold = hold_of(stack, "gus")
    before = waiting_body(stack, hold)
    refused = approve(stack, hold, check=3, token=reviewer(stack, "bob"))
    edit(stack, hold, before.replace(b"100 boats", b"1 kayak"))
    assert "no-spam denies" in edit(stack, hold, before.replace(b"boats", b"newsletters"), check=5).stderr
    now = hold_of(stack, "gus")
    assert now["findings"] == hold["findings"] == {"EMAIL_ADDRESS": 1}
    assert approve(stack, now, check=3, token=reviewer(stack, "bob")) == refused
    approve(stack, now, token=reviewer(stack, "cyd"))
    assert said(waiting.result(60)) == "Hello from upstream."
    assert len(received(stack, "1 kayak")) == 1


def test_a_retry_of_the_request_as_it_was_gets_the_answer_to_the_edited_one(stack: Stack) -> None:
    body = chat("Buy 100 rafts")
    told = stack.post(body, "contractors", subject="dan", headers={"prefer": "respond-async"})
    assert told.status_code == 409
    hold = hold_of(stack, "dan", waiting=0)
    edit(stack, hold, waiting_body(stack, hold).replace(b"100", b"4"))
    approve(stack, hold_of(stack, "dan", waiting=0), token=reviewer(stack, "bob"))
    answer = stack.post(body, "contractors", subject="dan")
    assert (answer.status_code, answer.headers["x-authz-edited"]) == (200, "true")
    assert len(received(stack, "4 rafts")) == 1
    assert received(stack, "100 rafts") == []


def test_an_answer_by_a_person_is_given_once_and_the_model_is_not_asked(
    stack: Stack,
) -> None:
    client = contractor(stack, "eve")
    messages: list[Any] = [{"role": "user", "content": "How do I buy eels?"}]
    raw = in_background(
        lambda: client.chat.completions.with_raw_response.create(model="llama", messages=messages)
    )
    hold = hold_of(stack, "eve")
    shown = respond(stack, hold, "Ask the harbour: h@b.example\nor don't.").stdout
    assert "[EMAIL_ADDRESS]" in shown
    now = hold_of(stack, "eve")
    assert (now["responded"], now["answer"]["status"]) == (True, 200)
    assert "what you edited or answered" in approve(stack, now, check=5)
    approve(stack, now, token=reviewer(stack, "bob"))
    answer = raw.result(60)
    assert answer.headers["x-authz-responded"] == "true"
    assert said(answer.parse()) == "Ask the harbour: [EMAIL_ADDRESS]\nor don't."
    assert received(stack, "buy eels") == []
    session = stack.session(answer.headers["x-authz-session"])
    assert session["status"] == "responded"
    again = asking(stack, "eve", "How do I buy eels?")
    assert hold_of(stack, "eve")["id"] != hold["id"]
    reject(stack, hold_of(stack, "eve"), "asked before")
    with pytest.raises(openai.PermissionDeniedError):
        again.result(60)


def test_an_answer_by_a_person_is_streamed_to_who_asked_for_a_stream(stack: Stack) -> None:
    client = contractor(stack, "fay")
    messages: list[Any] = [{"role": "user", "content": "How do I buy foxes?"}]

    def streamed() -> str:
        chunks = client.chat.completions.create(model="llama", messages=messages, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    waiting = in_background(streamed)
    respond(stack, hold_of(stack, "fay"), "Not at all.")
    approve(stack, hold_of(stack, "fay"), token=reviewer(stack, "bob"))
    assert waiting.result(60) == "Not at all."


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_answer_by_a_person_reads_like_anthropics(stack: Stack, is_streamed: bool) -> None:
    client = anthropic.Anthropic(base_url=stack.url, api_key=stack.token("gil", "contractors"), max_retries=0)
    question: list[Any] = [{"role": "user", "content": f"How do I buy goats? {is_streamed}"}]

    def asked() -> str:
        if is_streamed:
            with client.messages.stream(model="llama", max_tokens=99, messages=question) as events:
                return "".join(events.text_stream)
        return client.messages.create(model="llama", max_tokens=99, messages=question).content[0].text  # type: ignore[union-attr]  # it is a text

    waiting = in_background(asked)
    respond(stack, hold_of(stack, "gil"), "At the market.")
    approve(stack, hold_of(stack, "gil"), token=reviewer(stack, "bob"))
    assert waiting.result(60) == "At the market."


def test_an_answer_that_the_rules_deny_is_refused_to_its_writer(stack: Stack) -> None:
    waiting = asking(stack, "hal", "Who buys hens?")
    hold = hold_of(stack, "hal")
    assert "denies this answer" in respond(stack, hold, "Ask E-123456", check=5).stderr
    reject(stack, hold_of(stack, "hal"), "nobody")
    with pytest.raises(openai.PermissionDeniedError):
        waiting.result(60)


def test_a_restart_between_keeps_what_was_edited_and_the_record_verifies(stack: Stack) -> None:
    body = chat("Buy 100 ibexes")
    stack.post(body, "contractors", subject="ida", headers={"prefer": "respond-async"})
    hold = hold_of(stack, "ida", waiting=0)
    edit(stack, hold, waiting_body(stack, hold).replace(b"100", b"5"))
    approve(stack, hold_of(stack, "ida", waiting=0), token=reviewer(stack, "bob"))
    kill_up(stack)
    stack.start()
    assert stack.post(body, "contractors", subject="ida").headers["x-authz-edited"] == "true"
    assert len(received(stack, "5 ibexes")) == 1
    verified = stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout
    assert json.loads(verified)["ok"]


@pytest.mark.parametrize(("form", "what"), [([], "jars"), (["--as", "json"], "pots")], ids=["text", "json"])
def test_on_a_terminal_the_conversation_is_edited_in_the_editor(
    stack: Stack, tmp_path: Path, form: list[str], what: str
) -> None:
    waiting = asking(stack, "jan", f"Buy 100 {what}\nand 7 lids")
    hold = hold_of(stack, "jan")
    editor = tmp_path / "editor"
    seen = tmp_path / "seen"
    editor.write_text(f'#!/bin/sh\ncp "$1" {seen}\nsed -i \'s/100 {what}/6 {what}/\' "$1"\n')
    editor.chmod(0o700)
    command = [sys.executable, "-m", "authz_cli.main", "hold", "edit", hold["id"], "--yes", *form]
    env = environment() | {"AUTHZ_DATA_DIR": str(stack.data), "EDITOR": str(editor), "VISUAL": str(editor)}
    ours, theirs = pty.openpty()
    done = subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, timeout=60)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    assert (f"100 {what}\\nand" in seen.read_text()) is bool(form)
    approve(stack, hold_of(stack, "jan"), token=reviewer(stack, "bob"))
    waiting.result(60)
    (sent,) = received(stack, what)
    assert json.loads(sent)["messages"][-1]["content"] == f"Buy 6 {what}\nand 7 lids"


def test_a_reviewer_edits_and_approves_what_they_do_not_see_whole_and_the_model_gets_it_whole(
    stack: Stack,
) -> None:
    answer = asking(stack, "cleo", "Please move E-123456 to a newer office.")
    hold = hold_of(stack, "cleo")
    outside = stack.token("olaf", "reviewers", "outside", review=True)
    shown = stack.cli("hold", "show", hold["id"], token=outside).stdout
    assert "Please move <EMPLOYEE_ID_1> to a newer office." in shown
    assert "Hidden:   EMPLOYEE_ID x1" in shown
    assert "E-123456" not in shown
    assert "E-123456" in stack.cli("hold", "show", hold["id"], token=reviewer(stack, "bob")).stdout
    body = json.loads(stack.cli("hold", "show", hold["id"], "--json", token=outside).stdout)["forward"]
    file = stack.folder / "concealed.json"
    command = ("hold", "edit", hold["id"], "--file", str(file), "--yes")
    file.write_text(body.replace("<EMPLOYEE_ID_1>", "E-000000"))
    refused = stack.cli(*command, token=outside, check=None)
    assert refused.returncode != 0
    assert "<EMPLOYEE_ID_1> must stay where it was" in refused.stderr
    file.write_text(body.replace("newer", "better"))
    done = stack.cli(*command, token=outside)
    assert "+  │ Please move <EMPLOYEE_ID_1> to a better office." in done.stdout
    assert "E-123456" not in done.stdout
    approve(stack, hold_of(stack, "cleo"), token=stack.token("otto", "reviewers", "outside", review=True))
    answer.result(60)
    (body_sent,) = received(stack, "better office")
    assert b"Please move E-123456 to a better office." in body_sent
