"""`authz session export --format har`, opened in a browser's own network panel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.browser.setup_browser import PYTHON
from tests.e2e.people import chat
from tests.e2e.plain import sessions_of
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import stream, whole

VIEWER = Path(__file__).with_name("devtools.py")
PATH = "/v1/chat/completions"
PAUSE = 0.5
"""Seconds in the middle of a streamed answer."""
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def shown(har: Path) -> dict[str, Any]:
    """What the network panel shows of a file."""
    environment = {**os.environ, "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    done = subprocess.run([PYTHON, VIEWER, har], capture_output=True, text=True, env=environment, timeout=90)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["browser"]
    return found


def exported(stack: Stack, subject: str, file: Path) -> list[dict[str, Any]]:
    """The entries of the archive of somebody's sessions, the first exchange first."""
    stack.cli("session", "export", "--caller", subject, "--format", "har", "-o", str(file))
    entries: list[dict[str, Any]] = json.loads(file.read_text())["log"]["entries"]
    return sorted(entries, key=lambda entry: str(entry["startedDateTime"]))


def test_every_exchange_stands_in_the_panel_with_what_was_asked_and_answered(
    stack: Stack, tmp_path: Path
) -> None:
    spoken = stream(["Grüße ", "aus ", "<Köln> & ", "\u65e5\u672c, so far."])
    paused = replace(spoken, steps=(*spoken.steps[:2], PAUSE, *spoken.steps[2:]))
    stack.upstream.answer_with(
        whole({"choices": []}), paused, whole({"error": {"message": "busy"}}, status=429)
    )
    asked = ("Mail jane@example.com, <b>now</b> </script>", "Say it \U0001f600", "Again")
    answers = [stack.post(chat(text, stream=text == asked[1]), "staff", subject="vera") for text in asked]
    sent = [request.body.decode() for request in stack.upstream.requests[-3:]]
    answers.append(stack.post(chat(f"My key is {KEY}"), "staff", subject="vera"))
    answers.append(stack.post(b"{", "staff", subject="vera"))
    answers.append(stack.post(b"{}", "staff", subject="vera", path="/nowhere"))
    assert [answer.status_code for answer in answers] == [200, 200, 429, 403, 400, 404]

    file = tmp_path / "sessions.har"
    entries, panel = exported(stack, "vera", file), shown(file)
    assert panel["said"] == []
    rows = panel["rows"]
    assert [row["method"] for row in rows] == ["POST"] * 6
    assert [row["url"] for row in rows] == [*[f"http://gateway{PATH}"] * 5, "http://gateway/nowhere"]
    assert [row["status"] for row in rows] == [answer.status_code for answer in answers]
    assert [row["answered"] for row in rows[:3]] == [answer.text for answer in answers[:3]]
    assert all(row["is_text"] for row in rows)
    assert [row["asked"] for row in rows[:3]] == sent
    assert "jane@" not in rows[0]["asked"]
    assert "BEGIN" not in rows[3]["asked"]
    assert "[PRIVATE_KEY]" in rows[3]["asked"]
    assert [row["type"].split(";")[0] for row in rows[:2]] == ["application/json", "text/event-stream"]
    began = [datetime.fromisoformat(one["started_at"]).timestamp() for one in sessions_of(stack, "vera")]
    assert [row["began"] for row in rows] == pytest.approx(sorted(began), abs=0.001)
    for row, entry in zip(rows, entries, strict=True):
        waited = entry["timings"]["wait"] / 1000
        assert row["waited"] == pytest.approx(waited, abs=0.001)
        assert row["took"] == pytest.approx(waited + entry["timings"]["receive"] / 1000, abs=0.001)
        assert row["cells"]["type"] == "fetch"
        assert row["cells"]["domain"] == "gateway"
        assert row["cells"]["status"].startswith(str(row["status"]))
    assert rows[1]["took"] >= PAUSE > rows[1]["waited"]
