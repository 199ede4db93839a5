"""What was there before masking: kept where the file says so, read with a role and a reason, gone in time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.people import approve, asking, hold_of, until
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import stream

FILE = (
    CONFIG.replace("review:\n", "review:\n  originals: \"'privacy' in person.groups\"\n", 1)
    + "record: {{keep: {{originals: 7d}}}}\n"
)
ASKED = "I am jane@example.com."
SENT = ["Hello ja", "ne@exam", "ple.com", ", and good", "bye."]
WHY = ("--before-masking", "--reason", "case 7")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("originals"), config=FILE) as running:
        yield running


def streamed(stack: Stack, subject: str) -> str:
    """The session of a streamed answer, on both sides of which something was masked."""
    stack.upstream.answer_with(stream(SENT))
    chunks = stack.sdk(subject, "staff").chat.completions.create(
        model="llama", messages=[{"role": "user", "content": ASKED}], stream=True
    )
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == "Hello [EMAIL_ADDRESS], and goodbye."
    (listed,) = until(lambda: stack.cli_json("session", "list", "--caller", subject), "a session")
    until(lambda: stack.session(listed["id"])["status"] == "completed", "the end")
    return str(listed["id"])


def privacy(stack: Stack) -> str:
    return stack.token("pia", "auditors", "privacy", review=True)


def test_both_sides_are_kept_as_they_came_and_shown_to_whom_the_role_names(stack: Stack) -> None:
    session = streamed(stack, "amy")
    crossed = stack.cli("session", "show", session, "--json", token=privacy(stack)).stdout
    assert "jane@" not in crossed
    assert '"original"' not in crossed
    shown = stack.cli("session", "show", session, "--json", *WHY, token=privacy(stack)).stdout
    before = json.loads(shown)
    assert ASKED in before["request"]
    texts = [
        json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content") or ""
        for line in before["answer"].splitlines()
        if line.startswith("data: {") and json.loads(line.removeprefix("data: "))["choices"]
    ]
    assert "".join(texts) == "".join(SENT)
    reading = next(e for e in reversed(before["events"]) if e["kind"] == "session.read")
    assert reading["data"].pop("reader")
    assert reading["data"] == {"before_masking": True}
    assert {"name": "reason", "body": "case 7"} in [
        {"name": p["name"], "body": p["body"]} for p in reading["payloads"]
    ]
    refused = stack.cli("session", "show", session, *WHY, check=5)
    assert "review.originals" in refused.stderr


def test_a_request_that_waited_is_kept_as_it_came(stack: Stack) -> None:
    waiting = asking(stack, "cal", ASKED)
    approve(stack, hold_of(stack, "cal"))
    waiting.result(60)
    (listed,) = stack.cli_json("session", "list", "--caller", "cal")
    shown = stack.cli("session", "show", listed["id"], "--json", *WHY, token=privacy(stack)).stdout
    assert ASKED in json.loads(shown)["request"]


def test_a_request_that_was_denied_is_kept_as_it_came(stack: Stack) -> None:
    refused = stack.post({"model": "llama", "messages": [{"role": "user", "content": ASKED}]}, subject="dan")
    assert refused.status_code == 403
    page = stack.cli("session", "show", refused.headers["x-authz-session"], *WHY, token=privacy(stack)).stdout
    assert ASKED in page


def test_the_record_verifies_and_an_export_of_it_is_without_them(stack: Stack, tmp_path: Path) -> None:
    streamed(stack, "bea")
    config = ("--config", str(stack.config_file))
    assert json.loads(stack.cli("audit", "verify", *config, "--json").stdout)["ok"]
    stack.cli("audit", "export", str(tmp_path / "out"), *config)
    verified = json.loads(stack.cli("audit", "verify", str(tmp_path / "out"), "--json").stdout)
    assert verified["ok"]
    assert any("are not part of an export" in note for note in verified["notes"])
    exported = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert b"[EMAIL_ADDRESS]" in exported
    assert b"jane@" not in exported


def test_they_are_purged_alone_and_the_rest_stays(stack: Stack) -> None:
    session = streamed(stack, "eva")
    stack.stop()
    purge = ("--class", "originals", "--older-than", "0h", "--reason", "tidy", "--yes", "--json")
    told = stack.cli("record", "purge", *purge, "--config", str(stack.config_file)).stdout
    assert json.loads(told)["payloads"] >= 2
    stack.start()
    shown = stack.cli("session", "show", session, "--json", *WHY, token=privacy(stack))
    assert "not all of it is there from before masking: purged on " in shown.stderr
    assert "I am [EMAIL_ADDRESS]." in json.loads(shown.stdout)["request"]
    verified = stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout
    assert json.loads(verified)["ok"]
