"""`authz grant` where something of a grant cannot be read: it is shown as far as it can be, and ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Terminal
from tests.servers.grant_review import as_, draft, serving, wish
from tests.servers.loop_thread import LoopThread
from tests.servers.review_people import SECURITY

from authz_cli import terminal as terminal_module
from authz_service.core.stored_holds import HoldLimits


@pytest.fixture
def grant(review_thread: LoopThread, tmp_path: Path) -> Iterator[str]:
    """One in force, served on a socket in the test's folder."""
    with serving(review_thread, tmp_path, [SECURITY]) as (store, api):
        review_thread.run(store.open_hold(draft(0), HoldLimits()))
        yield api.CreateGrant(wish(), metadata=as_("rita")).grant.id


@pytest.fixture
def terminal(grant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    return Terminal({"AUTHZ_SERVER": f"unix:{tmp_path / 'review.sock'}", "TZ": "UTC"})


def spoil(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "authz.db", timeout=10) as database:
        assert database.execute(statement).rowcount == 1


def test_one_of_a_damaged_hold_is_marked_in_lists_and_on_its_page_and_ended(
    terminal: Terminal, grant: str, tmp_path: Path
) -> None:
    spoil(tmp_path, "UPDATE holds SET detail = '{'")
    listed = terminal.type("grant", "list", person="olga")
    assert "active (damaged)" in listed.stdout
    assert f"grant {grant} is damaged" in listed.stderr
    page = terminal.type("grant", "show", grant, person="olga").stdout
    assert f"it lets nothing through: authz grant revoke {grant}" in page
    assert terminal.json("grant", "show", grant, person="olga")["damaged"] is True
    ended = terminal.type("grant", "revoke", grant[:14], "--reason", "over", answer="y\n", person="olga")
    assert f"End grant {grant} for alice?" in ended.stdout
    assert f"{grant} is revoked; 0 of 2 uses were made" in ended.stdout


def test_one_that_cannot_be_read_itself_is_found_by_the_beginning_of_its_id_and_ended(
    terminal: Terminal, grant: str, tmp_path: Path
) -> None:
    spoil(tmp_path, "UPDATE grants SET detail = '{'")
    ended = terminal.type("grant", "revoke", grant[:14], "--reason", "over", answer="y\n", person="olga")
    assert f"End grant {grant}, which cannot be read?" in ended.stdout
    assert f"{grant} is revoked" in ended.stdout.splitlines()
