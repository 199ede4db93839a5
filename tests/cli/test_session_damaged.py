"""`authz session` where the caller of one that is under way cannot be read: it is named, and ended."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import Terminal
from tests.cli.test_grant_damaged import spoil
from tests.servers.grant_review import draft, serving
from tests.servers.loop_thread import LoopThread
from tests.servers.review_people import SECURITY

from authz_cli import terminal as terminal_module
from authz_service.core.stored_holds import HoldLimits


def test_it_is_listed_without_its_caller_beside_the_others_and_ended(
    review_thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    terminal = Terminal({"AUTHZ_SERVER": f"unix:{tmp_path / 'review.sock'}", "TZ": "UTC"})
    with serving(review_thread, tmp_path, [SECURITY]) as (store, _):
        for number in range(2):
            review_thread.run(store.open_hold(draft(number), HoldLimits()))
        spoil(tmp_path, "UPDATE sessions SET caller_detail = '{' WHERE id = 'ses_0'")
        listed = terminal.type("session", "list", "--json", person="ada")
        assert listed.stderr.count("damaged") == 1
        assert "session ses_0 is damaged" in listed.stderr
        assert '"ses_0"' in listed.stdout
        assert '"ses_1"' in listed.stdout
        assert "hold.opened" in terminal.type("session", "show", "ses_0", person="ada").stdout
        terminal.type("session", "kill", "ses_0", "--reason", "It loops.", "--yes", person="olga")
        assert "killing" in terminal.type("session", "list", person="ada").stdout
