"""Answers of the model that a reviewer edits while they are held, through Envoy with the official SDKs."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import anthropic
import pytest
from tests.e2e.faults import kill_up
from tests.e2e.people import (
    approve,
    ask,
    chat,
    hold_of,
    in_background,
    own_hold,
    received,
    reviewer,
    said,
    sha256,
)
from tests.e2e.stack import CONFIG, Stack, environment
from tests.e2e.test_held_answers import RULE, saying
from tests.e2e.test_sdk_anthropic import message, text
from tests.e2e.test_sdk_anthropic import streamed as in_anthropics
from tests.e2e.upstream_answers import completion

from authz_cli.options import Target
from authz_cli.session_client import connect

NO_BOMBS = """\
    - {{name: no-bombs, when: "answer.findings.BOMB.count > 0", effect: deny}}
"""
DETECTORS = "detectors:\n"
WITH_RULES = CONFIG.replace("paths:\n", RULE + NO_BOMBS + "paths:\n").replace(
    DETECTORS, DETECTORS + "  - {{name: BOMB, pattern: 'bomb-[0-9]'}}\n"
)
SECRET = "Ask E-123456 (bob@example.com)"
MASKED = "Ask E-123456 ([EMAIL_ADDRESS])"
EDITED = "Ask a colleague ([EMAIL_ADDRESS])"
CONTENT = "choices/0/content"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("edited-answers"), config=WITH_RULES) as running:
        yield running


def edit(
    stack: Stack, hold: dict[str, Any], texts: dict[str, Any], *, check: int = 0
) -> subprocess.CompletedProcess[str]:
    """Put `texts` in the place of an answer's, as whoever runs the tests."""
    file = stack.folder / "edited.json"
    file.write_text(json.dumps(texts))
    return stack.cli("hold", "edit", hold["id"], "--file", str(file), "--yes", check=check)


def texts_of(stack: Stack, hold: dict[str, Any]) -> dict[str, str]:
    texts: dict[str, str] = stack.cli_json("hold", "show", hold["id"])["texts"]
    return texts


def approved_by_bob(stack: Stack, subject: str, *, waiting: int = 1) -> dict[str, Any]:
    hold = hold_of(stack, subject, waiting=waiting)
    approve(stack, hold, token=reviewer(stack, "bob"))
    return hold


def raw_answer(stack: Stack, subject: str, question: str, **options: Any) -> Future[Any]:
    client = stack.sdk(subject, "staff", max_retries=0)
    messages: list[Any] = [{"role": "user", "content": question}]
    return in_background(
        lambda: client.chat.completions.with_raw_response.create(model="llama", messages=messages, **options)
    )


def test_an_edited_answer_goes_out_once_somebody_else_has_approved_it(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    raw = raw_answer(stack, "ann", "Who knows about boats?")
    hold = hold_of(stack, "ann")
    assert texts_of(stack, hold) == {CONTENT: MASKED}
    page = stack.cli("hold", "show", hold["id"]).stdout
    assert f"Found in it\n  ├ {CONTENT}:\n  │ {MASKED}\n  ┊ ^ EMPLOYEE_ID: E-123456" in page
    shown = edit(stack, hold, {CONTENT: EDITED}).stdout
    assert f"  ├ {CONTENT}:\n-  │ {MASKED}\n+  │ {EDITED}\n" in shown
    now = hold_of(stack, "ann")
    assert (now["edited"], now["responded"], now["answer"]["status"]) == (True, False, 200)
    assert now["digest"] != hold["digest"]
    assert now["acts"][-1]["digest"] == now["digest"]
    assert own_hold(stack, hold, "ann").json()["waits"] == "answer"
    approve(stack, now, check=5)
    approved_by_bob(stack, "ann")
    answer = raw.result(60)
    assert answer.headers["x-authz-edited"] == "true"
    assert said(answer.parse()) == EDITED
    assert sha256(answer.content) == now["digest"]
    (sent,) = [step for step in completion(SECRET).steps if isinstance(step, bytes)]
    before, after = json.loads(sent), json.loads(answer.content)
    assert (after["id"], after["usage"]) == (before["id"], before["usage"])
    session = stack.session(answer.headers["x-authz-session"])
    check_entries(stack, session["id"], now["digest"])
    (released,) = [event for event in session["events"] if event["kind"] == "answer.released"]
    assert released["data"]["edited"] is True


def check_entries(stack: Stack, session: str, digest: str) -> None:
    """The edit's entry names the bytes before it and those after, and says what it changed."""
    with connect(Target(None, None, None, stack.data, is_data_dir_named=True)) as client:
        _, entries = client.session(session)
    kinds = ("hold.opened", "hold.edited", "hold.voted")
    documents = {entry.kind: json.loads(entry.body) for entry in entries if entry.kind in kinds}
    opened, edited, voted = (documents[kind] for kind in kinds)
    before, after = (entry["payloads"]["forward"]["digest"] for entry in (opened, edited))
    assert before != after
    assert (edited["data"]["digest"], voted["data"]["digest"]) == (before, after)
    (edit,) = [entry for entry in entries if entry.kind == "hold.edited"]
    payloads = {payload.name: payload.body for payload in edit.payloads}
    assert sha256(payloads["forward"]) == digest
    assert json.loads(payloads["changes"]) == [{"path": [CONTENT], "before": MASKED, "after": EDITED}]


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_person_answers_in_the_place_of_an_answer_that_waits(stack: Stack, is_streamed: bool) -> None:
    stack.upstream.answer_with(saying(SECRET))
    question, subject = f"Who knows about rowing? {is_streamed}", f"row-{is_streamed}"
    raw = raw_answer(stack, subject, question, stream=is_streamed)
    hold = hold_of(stack, subject)
    file = stack.folder / "answer.txt"
    file.write_text("Ask the harbour: h@b.example")
    shown = stack.cli("hold", "respond", hold["id"], "--file", str(file), "--yes").stdout
    assert "Ask the harbour: [EMAIL_ADDRESS]" in shown
    now = hold_of(stack, subject)
    assert (now["responded"], now["edited"], now["answer"]["status"]) == (True, False, 200)
    assert own_hold(stack, hold, subject).json()["waits"] == "answer"
    assert "a reviewer's answer" in edit(stack, now, {CONTENT: "x"}, check=4).stderr
    approve(stack, now, check=5)  # whoever wrote it is no second pair of eyes
    approved_by_bob(stack, subject)
    answer = raw.result(60)
    assert (answer.status_code, answer.headers["x-authz-responded"]) == (200, "true")
    assert sha256(answer.content if not is_streamed else answer.http_response.read()) == now["digest"]
    assert len(received(stack, question)) == 1
    session = stack.session(answer.headers["x-authz-session"])
    assert session["status"] == "responded"
    (released,) = [event for event in session["events"] if event["kind"] == "answer.released"]
    assert released["data"]["responded"] is True


def test_the_retry_gets_a_persons_answer_to_what_the_model_has_answered(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    body = chat("Who knows about rivers?")
    told = stack.post(body, "staff", subject="riv", headers={"prefer": "respond-async"})
    assert told.status_code == 409
    hold = hold_of(stack, "riv", waiting=0)
    file = stack.folder / "answer.txt"
    file.write_text("Nobody does.")
    stack.cli("hold", "respond", hold["id"], "--file", str(file), "--yes")
    now = approved_by_bob(stack, "riv", waiting=0)
    again = stack.post(body, "staff", subject="riv")
    assert (again.status_code, again.headers["x-authz-responded"]) == (200, "true")
    assert sha256(again.content) == now["digest"]
    assert again.json()["choices"][0]["message"]["content"] == "Nobody does."
    assert len(received(stack, "Who knows about rivers?")) == 1


def test_a_vote_before_the_edit_is_void(stack: Stack) -> None:
    stack.reload(votes="2")
    try:
        stack.upstream.answer_with(saying(SECRET))
        waiting = in_background(lambda: ask(stack.sdk("bea", "staff"), "Who knows about bees?"))
        approved_by_bob(stack, "bea")
        edit(stack, hold_of(stack, "bea"), {CONTENT: EDITED})
        approve(stack, hold_of(stack, "bea"), token=reviewer(stack, "cyd"))
        assert hold_of(stack, "bea")["state"] == "pending"
        approved_by_bob(stack, "bea")
        assert said(waiting.result(60)) == EDITED
    finally:
        stack.reload(votes="1")


def test_an_edited_answer_is_streamed_to_who_asked_for_a_stream(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    raw = raw_answer(stack, "cat", "Who knows about cats?", stream=True)
    hold = hold_of(stack, "cat")
    assert texts_of(stack, hold) == {CONTENT: MASKED}
    edit(stack, hold, {CONTENT: EDITED + "\nor nobody"})
    approved_by_bob(stack, "cat")
    answer = raw.result(60)
    assert answer.headers["x-authz-edited"] == "true"
    assert "event-stream" in answer.headers["content-type"]
    chunks = [chunk for chunk in answer.parse() if chunk.choices]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == EDITED + "\nor nobody"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_retry_gets_the_edited_answer_and_the_model_is_asked_once(stack: Stack) -> None:
    for is_streamed in (False, True):
        question = f"Who knows about cars? {is_streamed}"
        stack.upstream.answer_with(saying(SECRET))
        body = chat(question, stream=is_streamed)
        told = stack.post(body, "staff", subject="col", headers={"prefer": "respond-async"})
        assert told.status_code == 409
        edit(stack, hold_of(stack, "col", waiting=0), {CONTENT: EDITED})
        hold = approved_by_bob(stack, "col", waiting=0)
        again = stack.post(body, "staff", subject="col")
        assert (again.status_code, again.headers["x-authz-edited"]) == (200, "true")
        assert sha256(again.content) == hold["digest"]
        assert (EDITED in again.text, "E-123456" in again.text) == (True, False)
        assert len(received(stack, question)) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_answer_of_anthropics_api_is_edited_as_well(stack: Stack, is_streamed: bool) -> None:
    stack.upstream.answer_with(in_anthropics(SECRET, 5) if is_streamed else message(text(SECRET)))
    client = anthropic.Anthropic(base_url=stack.url, api_key=stack.token("gil", "staff"), max_retries=0)
    question: list[Any] = [{"role": "user", "content": f"Who knows about goats? {is_streamed}"}]

    def asked() -> str:
        if is_streamed:
            with client.messages.stream(model="llama", max_tokens=99, messages=question) as events:
                assert events.response.headers["x-authz-edited"] == "true"
                return "".join(events.text_stream)
        raw = client.messages.with_raw_response.create(model="llama", max_tokens=99, messages=question)
        assert raw.headers["x-authz-edited"] == "true"
        return raw.parse().content[0].text  # type: ignore[union-attr]  # it is a text

    waiting = in_background(asked)
    hold = hold_of(stack, "gil")
    ((name, said_now),) = texts_of(stack, hold).items()
    assert said_now == MASKED
    edit(stack, hold, {name: EDITED})
    approved_by_bob(stack, "gil")
    assert waiting.result(60) == EDITED


def test_what_a_tool_is_called_with_is_edited_and_ids_and_names_are_not(stack: Stack) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "mail", "arguments": '{"to":"E-123456"}'},
    }
    stack.upstream.answer_with(completion(None, tool_calls=[call]))
    waiting = in_background(lambda: ask(stack.sdk("dan", "staff", max_retries=0), "Mail them"))
    hold = hold_of(stack, "dan")
    arguments = "choices/0/tool_calls/0/arguments"
    assert texts_of(stack, hold) == {arguments: '{"to":"E-123456"}'}
    assert "JSON" in edit(stack, hold, {arguments: "{to"}, check=2).stderr
    edit(stack, hold, {arguments: '{"to":"nobody"}'})
    approved_by_bob(stack, "dan")
    (made,) = waiting.result(60).model_dump()["choices"][0]["message"]["tool_calls"]
    assert (made["id"], made["function"]) == ("call_1", {"name": "mail", "arguments": '{"to":"nobody"}'})


def test_an_edit_of_an_answer_that_must_not_be_changes_nothing(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    waiting = in_background(lambda: ask(stack.sdk("eve", "staff", max_retries=0), "Who knows about eels?"))
    hold = hold_of(stack, "eve")
    for texts, words, code in (
        ({CONTENT: "Ask bomb-1 ([EMAIL_ADDRESS])"}, "no-bombs denies", 5),
        ({CONTENT: "Ask nobody"}, "placeholder", 2),
        ({CONTENT: MASKED + " [EMAIL_ADDRESS]"}, "placeholder", 2),
        ({"id": "other"}, "the texts of this answer are", 2),
        ({CONTENT: MASKED}, "nothing was edited", 1),
    ):
        assert words in edit(stack, hold, texts, check=code).stderr
    assert hold_of(stack, "eve")["digest"] == hold["digest"]
    approve(stack, hold)
    assert said(waiting.result(60)) == MASKED


def test_masks_for_answers_are_for_what_the_editor_writes_too(stack: Stack) -> None:
    stack.upstream.answer_with(saying("Ask E-123456"))
    waiting = in_background(lambda: ask(stack.sdk("fay", "staff"), "Who knows about fish?"))
    done = edit(stack, hold_of(stack, "fay"), {CONTENT: "Ask joe@example.com"})
    assert "+  │ Ask [EMAIL_ADDRESS]\n" in done.stdout
    hold = approved_by_bob(stack, "fay")
    assert hold["answer"]["masked"] == {"EMAIL_ADDRESS": 1}
    assert said(waiting.result(60)) == "Ask [EMAIL_ADDRESS]"


def test_after_a_kill_of_everything_the_retry_gets_the_edited_answer(stack: Stack) -> None:
    stack.upstream.answer_with(saying(SECRET))
    body = chat("Who knows about hens?")
    stack.post(body, "staff", subject="hal", headers={"prefer": "respond-async"})
    edit(stack, hold_of(stack, "hal", waiting=0), {CONTENT: EDITED})
    kill_up(stack)
    stack.start()
    approved_by_bob(stack, "hal", waiting=0)
    again = stack.post(body, "staff", subject="hal")
    assert (EDITED in again.text, again.headers["x-authz-edited"]) == (True, "true")
    assert len(received(stack, "about hens")) == 1


def test_on_a_terminal_the_answer_is_edited_in_the_editor(stack: Stack, tmp_path: Path) -> None:
    stack.upstream.answer_with(saying(SECRET))
    waiting = in_background(lambda: ask(stack.sdk("jan", "staff"), "Who knows about jars?"))
    hold = hold_of(stack, "jan")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/E-123456/a colleague/' \"$1\"\n")
    editor.chmod(0o700)
    command = [sys.executable, "-m", "authz_cli.main", "hold", "edit", hold["id"], "--yes"]
    env = environment() | {"AUTHZ_DATA_DIR": str(stack.data), "EDITOR": str(editor), "VISUAL": str(editor)}
    ours, theirs = pty.openpty()
    done = subprocess.run(command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, timeout=60)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0
    approved_by_bob(stack, "jan")
    assert said(waiting.result(60)) == EDITED


def test_the_record_of_edited_answers_verifies(stack: Stack) -> None:
    verified = stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout
    assert json.loads(verified)["ok"]
