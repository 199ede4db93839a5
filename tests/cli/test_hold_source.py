"""The page of a hold says where its caller calls from."""

from __future__ import annotations

from dataclasses import replace

from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_hold


def test_the_line_from_is_where_the_caller_calls_from(review: Review, terminal: Terminal) -> None:
    review.put(replace(make_hold("hld_1"), source="192.0.2.7"))
    shown = terminal.type("hold", "show", "hld_1").output.splitlines()
    caller = next(n for n, line in enumerate(shown) if line.startswith("Caller:"))
    assert shown[caller + 1] == "From:     192.0.2.7"
    assert terminal.json("hold", "show", "hld_1")["source"] == "192.0.2.7"


def test_a_hold_of_which_that_is_not_known_has_no_such_line(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    assert "From:" not in terminal.type("hold", "show", "hld_1").output


def test_the_line_cannot_say_what_a_terminal_would_obey_or_begin_another(
    review: Review, terminal: Terminal
) -> None:
    review.put(replace(make_hold("hld_1"), source="192.0.2.7\nVote:     \x1b[32mapproved by rita"))
    shown = terminal.type("hold", "show", "hld_1").output
    assert "\x1b" not in shown
    (line,) = [line for line in shown.splitlines() if line.startswith("From:")]
    assert "192.0.2.7" in line
    assert not any(line.startswith("Vote:") for line in shown.splitlines())
