"""`--before-masking`: the bodies as they came, for whom a role names, with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_session
from tests.servers.review_people import PEOPLE

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload

CAME = b'{"model":"llama","messages":[{"role":"user","content":"I am jane@example.com"}]}'
CROSSED = CAME.replace(b"jane@example.com", b"[EMAIL_ADDRESS]")
WHY = ("--before-masking", "--reason", "case 7")


def event(text: str) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + json.dumps(delta).encode() + b"\n\n"


SENT = (event("Hi jane@"), event("example.com"), event("!"))


@pytest.fixture(autouse=True)
def _record(review: Review) -> None:
    review.store.past = {"ses_1": make_session("ses_1"), "ses_2": make_session("ses_2")}
    caller = caller_payload(PEOPLE["alice"])
    review.store.recorded = [
        EntryDraft(Kind.REQUEST_RECEIVED, "ses_1", {"originals": True}, {"caller": caller, "original": CAME}),
        EntryDraft(Kind.REQUEST_RELEASED, "ses_1", {}, {"body": CROSSED}),
        EntryDraft(
            Kind.ANSWER_RELEASED,
            "ses_1",
            {"masked": {"EMAIL_ADDRESS": 1}},
            {"body": event("Hi [EMAIL_ADDRESS]"), "original": SENT[0] + SENT[1]},
        ),
        EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {}, {"body": SENT[2]}),
        EntryDraft(Kind.REQUEST_RECEIVED, "ses_2", {}, {"caller": caller}),
        EntryDraft(Kind.REQUEST_RELEASED, "ses_2", {}, {"body": CROSSED}),
    ]


def test_json_has_the_bodies_before_masking_and_the_events_as_they_are_on_record(terminal: Terminal) -> None:
    shown = terminal.json("session", "show", "ses_1", *WHY, person="pia")
    assert (shown["request"].encode(), shown["answer"].encode()) == (CAME, b"".join(SENT))
    released = next(e for e in shown["events"] if e["kind"] == "request.released")
    assert released["payloads"][0]["body"].encode() == CROSSED


def test_the_page_says_what_it_shows(terminal: Terminal) -> None:
    page = terminal.type("session", "show", "ses_1", *WHY, person="pia").stdout
    assert "The request, as it came, before masking" in page
    assert "The answer, as the model sent it" in page
    assert "I am jane@example.com" in page
    crossed = terminal.type("session", "show", "ses_1", person="pia").stdout
    assert "jane@" not in crossed


def test_raw_bodies_and_recordings_are_those_from_before_masking(terminal: Terminal) -> None:
    raw = terminal.type("session", "show", "ses_1", "--raw", "answer", *WHY, person="pia")
    assert raw.stdout_bytes == b"".join(SENT)
    played = terminal.type("session", "replay", "ses_1", "--speed", "1000", *WHY, person="pia").stdout
    assert "I am jane@example.com" in played
    assert "Hi jane@example.com!" in played


@pytest.mark.parametrize("form", ["jsonl", "har", "asciicast"])
def test_exports_have_it_where_it_is_asked_for(terminal: Terminal, tmp_path: Path, form: str) -> None:
    words = ("session", "export", "ses_1", "--format", form)
    assert "jane@example.com" in terminal.type(*words, *WHY, person="pia").stdout
    assert "jane@example.com" not in terminal.type(*words, person="pia").stdout


def test_where_nothing_was_kept_that_is_said(terminal: Terminal) -> None:
    shown = terminal.type("session", "show", "ses_2", "--json", *WHY, person="pia")
    assert "were not kept" in shown.stderr
    assert json.loads(shown.stdout)["request"].encode() == CROSSED


def test_the_role_and_the_reason_are_asked_for(terminal: Terminal, review: Review) -> None:
    refused = terminal.type("session", "show", "ses_1", *WHY, person="ada")
    assert (refused.exit_code, "review.originals" in refused.stderr) == (5, True)
    for words in (("--before-masking",), ("--reason", "case 7"), ("--before-masking", "--reason", " ")):
        assert terminal.type("session", "show", "ses_1", *words, person="pia").exit_code == 2
    assert not [draft for draft in review.store.recorded if draft.kind is Kind.SESSION_READ]
