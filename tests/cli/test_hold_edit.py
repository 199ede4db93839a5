"""An edit is shown before it is made, as the server tells it, or as far as the command can tell by itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from tests.cli.conftest import Terminal
from tests.servers.loop_thread import LoopThread
from tests.servers.previewed_edits import Edits
from tests.servers.review_drafts import draft
from tests.servers.stored_review import served

from authz_api.v1.holds_pb2_grpc import HoldServiceServicer
from authz_cli import terminal as terminal_module
from authz_service.core.stored_holds import HoldLimits
from authz_service.runtime.revising import Revised
from authz_service.servers.review_holds import HoldReview

OLD = "The server is too old to say what it has masked in what you wrote; see: authz hold show"


@pytest.fixture
def desk(review_thread: LoopThread, tmp_path: Path) -> Iterator[Terminal]:
    edits = Edits()
    with served(review_thread, tmp_path, reviser=edits) as (store, address):
        edits.store = store
        hold = replace(draft(0), api="openai_chat", operation="chat_completions")
        review_thread.run(store.open_hold(hold, HoldLimits()))
        yield Terminal({"AUTHZ_SERVER": address, "TZ": "UTC"})


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "edited.json"
    path.write_text(json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Wait."}]}))
    return str(path)


def edited(desk: Terminal) -> bool:
    is_edited: bool = desk.json("hold", "show", "hld_0")["edited"]
    return is_edited


def test_what_would_change_is_shown_before_the_question(
    desk: Terminal, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    no = desk.type("hold", "edit", "hld_0", "--file", file, answer="n\n")
    assert (no.exit_code, edited(desk)) == (1, False)
    change = "  ├ /messages/0/a~1b:\n-  │ x\n+  │ y\n"
    assert no.stdout.index(change) < no.stdout.index("Votes before it are void.")
    yes = desk.type("hold", "edit", "hld_0", "--file", file, answer="y\n")
    assert (yes.exit_code, edited(desk), yes.stdout.count(change)) == (0, True, 1)
    assert "What rita changed\n" + change in desk.type("hold", "show", "hld_0").stdout


@pytest.fixture
def old_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(self: HoldReview, hold: object, standing: object) -> list[object]:
        return []

    monkeypatch.setattr(HoldReview, "PreviewEdit", HoldServiceServicer.PreviewEdit)
    monkeypatch.setattr(HoldReview, "_edits", none)


@pytest.mark.usefixtures("old_server")
class TestOfAnOldServer:
    def test_the_command_compares_by_itself_and_says_what_it_cannot_tell(
        self, desk: Terminal, file: str
    ) -> None:
        done = desk.type("hold", "edit", "hld_0", "--file", file, "--yes")
        assert (done.exit_code, edited(desk)) == (0, True)
        assert "+  │ Wait." in done.stdout
        assert OLD in done.stdout


def test_with_json_it_says_what_changed(desk: Terminal, file: str) -> None:
    changes = desk.json("hold", "edit", "hld_0", "--file", file, "--yes")["changes"]
    assert changes[0] == {"path": "/messages/0/a~1b", "before": "x", "after": "y"}
    assert changes[2] == {"path": "/seed", "after": 7}
    assert desk.json("hold", "show", "hld_0")["edits"][0]["changes"] == changes


def test_what_is_answered_is_shown_as_the_server_lays_it_out(desk: Terminal, file: str) -> None:
    shown = desk.type("hold", "respond", "hld_0", "--file", file, "--yes").stdout
    assert "[1] user  <- new turn\n  │ Delete the backups." in shown
    assert "Shown as it is" not in shown


def test_with_json_the_numbers_that_an_edit_changes_are_as_they_are_written(
    desk: Terminal, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = b'[{"path": ["n"], "before": 3.14159265358979323846, "after": {"a": [1E2, 0.10]}}]'
    monkeypatch.setattr(Edits, "_made", lambda self, hold, body, answer: Revised(body, {}, raw, answer))
    for told in (
        desk.type("hold", "edit", "hld_0", "--file", file, "--yes", "--json").stdout,
        desk.type("hold", "show", "hld_0", "--json").stdout,
    ):
        assert '"before": 3.14159265358979323846' in told
        assert re.search(r"\[\s*1E2,\s*0\.10\s*\]", told)


def test_the_editor_gets_the_texts_of_the_turns_of_the_api(
    review_thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"model": "m", "prompt": "Wipe it.", "metadata": {"text": "not of the model"}}).encode()
    got: list[str] = []

    def saves(text: str, *, extension: str) -> str:
        got.append(text)
        return text.replace("Wipe it.", "Keep it.")

    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    monkeypatch.setattr(click, "edit", saves)
    edits = Edits()
    with served(review_thread, tmp_path, reviser=edits) as (store, address):
        edits.store = store
        hold = replace(draft(0), api="openai_completions", operation="completions")
        hold = replace(hold, forward=body, digest=hashlib.sha256(body).hexdigest())
        review_thread.run(store.open_hold(hold, HoldLimits()))
        desk = Terminal({"AUTHZ_SERVER": address, "TZ": "UTC"})
        done = desk.type("hold", "edit", "hld_0", "--yes")
        assert (done.exit_code, json.loads(desk.json("hold", "show", "hld_0")["forward"])) == (
            0,
            json.loads(body.replace(b"Wipe", b"Keep")),
        )
    assert ["Wipe it." in text for text in got] == [True]
    assert "not of the model" not in got[0]
