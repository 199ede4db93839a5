"""`authz grant` as somebody types it: what is shown and asked, and what scripts get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Terminal
from tests.servers.grant_review import draft, serving
from tests.servers.loop_thread import LoopThread
from tests.servers.review_people import SECURITY

from authz_cli import terminal as terminal_module
from authz_cli.grant_text import WIDE
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldLimits
from authz_service.store.sql_store import SqlStore

CREATE = ("grant", "create", "--from-hold", "hld_0", "--uses", "2", "--until", "8h")


@pytest.fixture
def store(review_thread: LoopThread, tmp_path: Path) -> Iterator[SqlStore]:
    """With a hold of alice's, served on a socket in the test's folder."""
    folder = tmp_path / "grants"
    folder.mkdir()
    with serving(review_thread, folder, [SECURITY]) as (store, _):
        review_thread.run(store.open_hold(draft(0), HoldLimits()))
        yield store


@pytest.fixture
def terminal(store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    return Terminal({"AUTHZ_SERVER": f"unix:{tmp_path / 'grants' / 'review.sock'}", "TZ": "UTC"})


def test_the_hold_is_shown_before_the_question_and_a_no_makes_nothing(terminal: Terminal) -> None:
    said = terminal.type(*CREATE, answer="n\n")
    assert said.exit_code == 1
    assert "nothing was decided" in said.output
    page = said.stdout
    assert page.index("Delete the backups.") < page.index("Let 2 requests of alice of this kind, of any text")
    assert terminal.json("grant", "list", "--all-states") == []


def test_a_yes_makes_it_and_the_page_shows_what_was_agreed_to(terminal: Terminal) -> None:
    said = terminal.type(*CREATE, "--tool", "search", answer="y\n")
    assert said.exit_code == 0, said.output
    (grant,) = terminal.json("grant", "list")
    assert f"{grant['id']} is active: 2 uses until" in said.stdout
    page = terminal.type("grant", "show", grant["id"][:14]).stdout
    for line in (
        "For:        alice of",
        "Tools:      at most search",
        "Text:       any",
        "Uses:       0 of 2",
    ):
        assert line in page
    assert f"Digest:     {grant['digest']}" in page
    assert "Vote:       for, by rita" in page
    table = terminal.type("grant", "list", "-o", "wide").stdout
    assert tuple(table.splitlines()[0].split()) == WIDE


def test_the_page_says_what_of_the_caller_has_to_stay(
    terminal: Terminal, store: SqlStore, review_thread: LoopThread
) -> None:
    approval = Approval("security", (Stage("security caller.groups caller.claims.dept", 1, 1800.0),))
    review_thread.run(store.open_hold(replace(draft(1), approvals=(approval,)), HoldLimits()))
    made = terminal.json("grant", "create", "--from-hold", "hld_1", *CREATE[4:], "--yes")
    assert made["unchanged"] == ["claims.dept", "groups"]
    page = terminal.type("grant", "show", made["id"]).stdout
    assert "As long as: the caller's claims.dept, groups stay as they are" in page


def test_revoking_asks_first_and_says_what_ended(terminal: Terminal) -> None:
    terminal.type(*CREATE, "--yes")
    (grant,) = terminal.json("grant", "list")
    assert terminal.type("grant", "revoke", grant["id"], answer="n\n").exit_code == 1
    assert terminal.json("grant", "show", grant["id"])["state"] == "active"
    said = terminal.type("grant", "revoke", grant["id"], "--reason", "over", answer="y\n")
    assert f"{grant['id']} is revoked; 0 of 2 uses were made" in said.stdout
    again = terminal.type("grant", "revoke", grant["id"], "--yes")
    assert (again.exit_code, "was revoked by rita" in again.output) == (4, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((*CREATE, "--caller", "--group", "staff"), "--caller or --group"),
        ((*CREATE[:-1], "soon"), "say a time"),
        ((*CREATE[:5], "0", *CREATE[6:]), "0 is not in the range"),
        ((*CREATE, "--rule", "other", "--yes"), "the hold has no rule other; it has: contractors, tools"),
        (("grant", "list", "--state", "active", "--all-states"), "not both"),
        (("grant", "revoke", "grant_1", "--kill"), "--kill needs a --reason"),
        ((*CREATE, "--json"), "say --yes"),
    ],
)
def test_wrong_usage_says_what_is_right(terminal: Terminal, words: tuple[str, ...], says: str) -> None:
    said = terminal.type(*words)
    assert said.exit_code == 2, said.output
    assert says in said.output


def test_another_digest_than_the_one_named_decides_nothing(terminal: Terminal) -> None:
    said = terminal.type(*CREATE, "--digest", "0" * 64, "--yes")
    assert said.exit_code == 4
    assert "another digest" in said.output
    assert terminal.type("grant", "show", "grant_none").exit_code == 3
