"""What is decided is shown whole, laid out where it can be, and read only where it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Terminal
from tests.cli.hold_states import state
from tests.servers.concealed_desk import Failing, chat, desk_of
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_hold

from authz_cli import terminal as terminal_module
from authz_cli.exits import Exit
from authz_service.core.stored_holds import HoldState
from authz_service.servers import review_holds


def test_a_rejection_reads_nothing_where_nothing_is_shown(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_2"))
    result = terminal.type("hold", "reject", "hld_1", "--reason", "No.")
    assert (result.exit_code, review.store.recorded) == (0, [])
    result = terminal.type("hold", "reject", "--all", "--reason", "No.")
    assert (result.exit_code, review.store.recorded) == (0, [])
    assert [hold.state for hold in review.store.held.values()] == [HoldState.REJECTED] * 2


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_hold_that_is_too_large_to_be_shown_can_be_rejected_and_not_approved(
    review: Review, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr(review_holds, "MAX_ANSWER", 1000)
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: is_terminal)
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 1000}]}).encode()
    review.put(make_hold(body=body))
    result = terminal.type("hold", "approve", "hld_1", "--yes")
    assert (result.exit_code, state(review)) == (4, HoldState.PENDING)
    assert "unless it is rejected" in result.stderr
    result = terminal.type("hold", "reject", "hld_1", "--reason", "No.", answer="y\n")
    assert (result.exit_code, state(review)) == (0, HoldState.REJECTED)
    assert ("too large to be shown" in result.stderr) == is_terminal


def test_of_many_that_are_approved_those_that_cannot_be_concealed_are_left_out_and_named(
    review_thread: LoopThread, tmp_path: Path
) -> None:
    with desk_of(review_thread, tmp_path) as desk:
        terminal = Terminal({"AUTHZ_SERVER": desk.address, "TZ": "UTC"})
        hidden = desk.hold(chat("hi", metadata={"ann@mail.example": "x"}))
        result = terminal.type("hold", "approve", "--all", "--yes", person="cora")
        assert (result.exit_code != 0, desk.state_of(hidden)) == (True, HoldState.PENDING)
        clear = desk.hold(chat("hello"))
        result = terminal.type("hold", "approve", "--all", "--yes", person="cora")
        assert (desk.state_of(clear), desk.state_of(hidden)) == (HoldState.APPROVED, HoldState.PENDING)
        assert (result.exit_code, f"{clear} is approved" in result.stdout) == (Exit.CONFLICT, True)
        assert f"{hidden} was not decided: what is concealed from you" in result.stdout
        assert f"{hidden} is left out: " in result.stderr
        another = desk.hold(chat("hello again"))
        result = terminal.type("hold", "approve", hidden, another, "--yes", "--json", person="cora")
        told = {outcome["id"]: outcome["code"] for outcome in json.loads(result.stdout)}
        assert told == {another: None, hidden: "not_concealable"}


def test_the_question_about_many_counts_those_with_what_is_concealed(
    review_thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    with desk_of(review_thread, tmp_path) as desk:
        terminal = Terminal({"AUTHZ_SERVER": desk.address, "TZ": "UTC"})
        for body in (chat("hi"), chat("to ann@mail.example"), chat("to bob@mail.example")):
            desk.hold(body)
        asked = ("hold", "approve", "--all")
        result = terminal.type(*asked, answer="n\n", person="cora")
        assert "Approve these 3 holds, 2 of them with what is concealed from you?" in result.stdout
        assert "Approve these 3 holds?" in terminal.type(*asked, answer="n\n").stdout


@pytest.mark.parametrize("scanner", [None, Failing()], ids=["a value in a name", "a detector fails"])
def test_a_hold_that_cannot_be_concealed_can_be_rejected_and_not_approved(
    review_thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scanner: Failing | None
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    with desk_of(review_thread, tmp_path, scanner) as desk:
        terminal = Terminal({"AUTHZ_SERVER": desk.address, "TZ": "UTC"})
        hold = desk.hold(chat("hi", metadata={"ann@mail.example": "x"}))
        result = terminal.type("hold", "approve", hold, "--yes", person="cora")
        assert (result.exit_code != 0, desk.state_of(hold)) == (True, HoldState.PENDING)
        said = result.stderr
        result = terminal.type("hold", "reject", hold, "--reason", "No.", answer="y\n", person="cora")
        assert (result.exit_code, desk.state_of(hold)) == (0, HoldState.REJECTED)
        assert "nothing of it is shown" in said
        assert "ann@mail.example" not in said + result.stdout + result.stderr


def test_a_request_whose_conversation_is_too_large_is_shown_without_it(
    review: Review, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 10_000}]}).encode()
    monkeypatch.setattr(review_holds, "MAX_ANSWER", 15_000)
    review.put(make_hold(body=body))
    context = terminal.json("hold", "show", "hld_1")["context"]
    assert (context["conversation"], context["left_out"]) == (None, "too_large")
    shown = terminal.type("hold", "show", "hld_1").stdout
    assert "Shown as it is, since it is too large to be laid out" in shown
    assert "x" * 10_000 in shown


def test_json_of_a_hold_has_its_conversation(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    said = terminal.json("hold", "show", "hld_1")["context"]["conversation"]
    (turn,) = said["turns"]
    assert (turn["path"], turn["role"], turn["speaker"], turn["is_new"]) == (
        "/messages/0",
        "user",
        "user",
        True,
    )
    (part,) = turn["parts"]
    row: dict[str, object] = {
        "depth": 0,
        "key": None,
        "text": "Delete the backups.",
        "literal": None,
        "found": [],
    }
    assert part == {"kind": "text", "path": "/messages/0/content", "name": None, "rows": [row]}
    assert [part["name"] for part in said["rest"]] == ["model", "seed"]
