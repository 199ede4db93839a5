"""Claims, comments, votes taken back, reviews and decisions on many holds, typed against the real store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Terminal
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import DIGEST, draft
from tests.servers.review_people import PEOPLE, person
from tests.servers.stored_review import served

from authz_cli import hold_watch
from authz_cli import terminal as terminal_module
from authz_cli.hold_client import connect
from authz_cli.hold_watch import follow
from authz_cli.options import Target
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.stored_holds import Hold, HoldLimits

DAMAGED = "hold hld_2 is damaged: what is stored of it cannot be read; tell the operators"
PEOPLE.setdefault("gus", person("gus", "glass"))


@dataclass
class Desk(Terminal):
    """A terminal, and the store behind the server: hld_1, hld_2 and hld_3 wait in it."""

    thread: LoopThread
    store: Any

    def hold(self, name: str) -> Hold:
        found: Hold = self.thread.run(self.store.hold(name))
        return found

    def states(self) -> dict[str, str]:
        return {name: str(self.hold(name).state) for name in ("hld_1", "hld_2", "hld_3")}


@pytest.fixture
def desk(review_thread: LoopThread, tmp_path: Path) -> Iterator[Desk]:
    with served(review_thread, tmp_path) as (store, address):
        for number in (1, 2, 3):
            review_thread.run(store.open_hold(draft(number), HoldLimits()))
        yield Desk({"AUTHZ_SERVER": address, "TZ": "UTC"}, review_thread, store)


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)


def test_an_approval_that_nobody_waits_for_is_shown_as_not_sent(desk: Desk) -> None:
    """Its caller has left, or the rules refused the request at its release."""
    later = "it goes out if its caller sends it again by then"
    assert later not in desk.type("hold", "show", "hld_1").stdout
    assert desk.type("hold", "approve", "hld_1", "--yes", "--reason", "Fine.").exit_code == 0
    refused = EntryDraft(Kind.REQUEST_REFUSED, "ses_1", {"code": "request_denied", "status": 403})
    ended = EntryDraft(Kind.EXCHANGE_ENDED, "ses_1", {"outcome": "denied"})
    desk.thread.run(desk.store.settle(refused, ended, hold="hld_1", session="ses_1"))
    shown = " ".join(desk.type("hold", "show", "hld_1").stdout.split())
    assert "not sent yet, and if it is not by then, the approval lapses" in shown
    assert f"nobody at the moment; {later}, and the rules let it through" in shown


def test_a_claim_is_told_shown_and_given_back(desk: Desk) -> None:
    claimed = desk.type("hold", "claim", "hld_1")
    assert claimed.stdout == "hld_1 is claimed by you until 2026-11-18 11:21:40 UTC (in 15 min)\n"
    lost = desk.type("hold", "claim", "hld_1", person="rob")
    assert (lost.exit_code, "rita has claimed this hold" in lost.stderr) == (4, True)
    assert "Claimed:  by rita, until" in desk.type("hold", "show", "hld_1", person="rob").stdout
    assert desk.json("hold", "list")[2]["claim"]["name"] == "rita"
    assert desk.type("hold", "claim", "hld_1", "--release").stdout == "hld_1 is claimed by nobody\n"
    assert desk.type("hold", "claim", "hld_1", "--release").exit_code == 4


def test_a_comment_is_on_the_page_and_needs_words(desk: Desk) -> None:
    assert desk.type("hold", "comment", "hld_1", "Who runs\u202e this?").exit_code == 0
    assert "rita, 2026-11-18 11:06:40 UTC (now): Who runs<U+202E> this?" in (
        desk.type("hold", "show", "hld_1", person="rob").stdout
    )
    assert desk.type("hold", "comment", "hld_1", " ").exit_code == 2
    assert desk.json("hold", "comment", "hld_1", "again")["acts"][1]["text"] == "again"


def test_a_vote_is_taken_back_and_nothing_is_read_to_do_it(desk: Desk) -> None:
    assert desk.type("hold", "withdraw", "hld_1").exit_code == 4
    desk.type("hold", "approve", "hld_1", "--yes")
    before = len(desk.thread.run(desk.store.entries("ses_1")))
    assert desk.type("hold", "withdraw", "hld_1", "--reason", "too fast").stdout == (
        "your vote on hld_1 is taken back; it is pending\n"
    )
    assert len(desk.thread.run(desk.store.entries("ses_1"))) == before + 1
    assert "taken back since" in desk.type("hold", "show", "hld_1").stdout


def test_a_damaged_hold_is_named_beside_a_list_of_the_others(desk: Desk, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "authz.db", timeout=10) as database:
        database.execute("UPDATE holds SET detail = '{' WHERE id = 'hld_2'")
    for more in ((), ("--json",)):
        listed = desk.type("hold", "list", *more)
        assert ("hld_1" in listed.stdout, "hld_2" in listed.stdout) == (True, False)
        assert listed.stderr == f"{DAMAGED}\n"
    assert desk.type("hold", "approve", "--all", "--yes").exit_code == 0
    assert "hld_2 is damaged" in desk.type("hold", "show", "hld_2").stderr


def test_a_watch_names_it_once(desk: Desk, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "authz.db", timeout=10) as database:
        database.execute("UPDATE holds SET detail = '{' WHERE id = 'hld_2'")
    target = Target(desk.environment["AUTHZ_SERVER"], None, "token-rita", tmp_path, is_data_dir_named=False)
    said: list[str] = []
    with connect(target) as client:
        messages = follow(client, pause=lambda seconds: None, tell=said.append)
        assert [next(messages).hold.id for _ in range(2)] == ["hld_3", "hld_1"]
        with sqlite3.connect(tmp_path / "authz.db", timeout=10) as database:
            database.execute("UPDATE holds SET changed = changed + 1 WHERE id = 'hld_2'")
        desk.type("hold", "approve", "hld_1", "--yes")
        assert next(messages).hold.id == "hld_1"
    assert said == [DAMAGED]


def test_a_conflict_names_nobody_whose_vote_was_taken_back(desk: Desk) -> None:
    desk.type("hold", "approve", "hld_1", "--yes")
    desk.type("hold", "withdraw", "hld_1")
    desk.type("hold", "approve", "hld_1", "--yes", person="rob")
    late = desk.type("hold", "approve", "hld_1", "--yes")
    assert (late.exit_code, "is approved: votes by rob\n" in late.stderr) == (4, True)


def test_whoever_breaks_the_glass_gives_a_reason_and_is_on_the_list_until_reviewed(desk: Desk) -> None:
    assert desk.type("hold", "approve", "hld_2", "--break-glass", "--yes", person="gus").exit_code == 2
    refused = desk.type("hold", "approve", "hld_2", "--break-glass", "--reason", "x", "--yes")
    assert (refused.exit_code, "review.break_glass" in refused.stderr) == (5, True)
    words = ("--break-glass", "--reason", "the site is down", "--yes")
    assert desk.type("hold", "approve", "hld_2", *words, person="gus").exit_code == 0
    assert [hold["id"] for hold in desk.json("hold", "list", "--to-review")] == ["hld_2"]
    page = desk.type("hold", "show", "hld_2").stdout
    assert "for, alone, by gus" in page
    assert "somebody else has to review it: authz hold review hld_2" in page
    assert desk.type("hold", "review", "hld_2", "--reason", "it was", person="gus").exit_code == 5
    assert desk.type("hold", "review", "hld_2", "--reason", "it was").stdout == "hld_2 is reviewed\n"
    assert desk.json("hold", "list", "--to-review") == []


@pytest.mark.usefixtures("at_terminal")
def test_many_are_approved_after_one_question_that_counts_what_was_shown(desk: Desk) -> None:
    no = desk.type("hold", "approve", "--all", answer="n\n")
    assert (no.exit_code, no.stdout.count("Delete the backups."), "Approve these 3 holds?" in no.stdout) == (
        1,
        3,
        True,
    )
    assert set(desk.states().values()) == {"pending"}
    yes = desk.type("hold", "approve", "hld_1", "hld_3", "hld_1", answer="y\n")
    assert "Approve these 2 holds?" in yes.stdout
    assert desk.states() == {"hld_1": "approved", "hld_2": "pending", "hld_3": "approved"}


def test_many_are_rejected_and_each_that_was_not_is_named(desk: Desk) -> None:
    desk.type("hold", "approve", "hld_2", "--yes")
    taken = desk.type("hold", "reject", "hld_1", "hld_2", "--reason", "no")
    assert (taken.exit_code, "hld_2 is approved; leave it out" in taken.stderr) == (4, True)
    told = desk.type("hold", "reject", "--all", "--reason", "no", "--json")
    assert told.exit_code == 0
    assert [(each["id"], each["hold"]["state"]) for each in json.loads(told.stdout)] == [
        ("hld_3", "rejected"),
        ("hld_1", "rejected"),
    ]
    assert desk.type("hold", "reject", "--all", "--reason", "no").exit_code == 3


def test_many_are_not_approved_without_a_terminal_or_a_yes(desk: Desk) -> None:
    assert desk.type("hold", "approve", "--all").exit_code == 2
    assert desk.type("hold", "approve", "--all", "--json").exit_code == 2
    assert set(desk.states().values()) == {"pending"}
    assert desk.type("hold", "approve", "--all", "--yes", "--model", "other").exit_code == 3
    assert desk.type("hold", "approve", "--all", "--yes", "--model", "llama").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("approve",),
        ("approve", "hld_1", "--all"),
        ("approve", "--model", "llama"),
        ("approve", "hld_1", "hld_2", "--digest", DIGEST),
        ("approve", "--all", "--break-glass", "--reason", "x"),
        ("reject", "--all", "--reason", " "),
        ("list", "--state", "pending", "--all-states"),
        ("wait", "hld_1", "--timeout", "soon"),
        ("review", "hld_1"),
    ],
)
def test_what_contradicts_itself_is_not_done(desk: Desk, words: tuple[str, ...]) -> None:
    assert desk.type("hold", *words).exit_code == 2
    assert set(desk.states().values()) == {"pending"}


def test_waiting_ends_with_the_decision_or_with_the_time(desk: Desk) -> None:
    late = desk.type("hold", "wait", "hld_1", "--timeout", "1s")
    assert (late.exit_code, "still pending" in late.stderr) == (7, True)
    desk.type("hold", "approve", "hld_1", "--yes")
    assert desk.type("hold", "wait", "hld_1").stdout == "hld_1 is approved\n"
    desk.type("hold", "reject", "hld_2", "--reason", "no")
    assert desk.type("hold", "wait", "hld_2", "--json").exit_code == 1
    assert desk.type("hold", "wait", "hld_9").exit_code == 3


def test_a_list_goes_on_as_a_watch_until_it_is_interrupted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hold_watch.follow

    def interrupted(*args: Any, **more: Any) -> Iterator[Any]:
        yield from islice(whole(*args, **more), 2)
        desk.type("hold", "approve", "hld_2", "--yes")
        yield from islice(whole(*args, **more), 3)
        raise KeyboardInterrupt

    monkeypatch.setattr(hold_watch, "follow", interrupted)
    lines = [json.loads(line) for line in desk.type("hold", "list", "--watch", "--json").stdout.splitlines()]
    assert [line["state"] for line in lines].count("approved") == 1
    assert {line["id"] for line in lines} == {"hld_1", "hld_2", "hld_3"}


def test_the_list_is_narrowed_widened_and_watched(desk: Desk) -> None:
    desk.type("hold", "approve", "hld_2", "--yes")
    assert [hold["id"] for hold in desk.json("hold", "list", "--mine")] == ["hld_3", "hld_1"]
    assert desk.json("hold", "list", "--mine", person="ada") == []
    assert desk.json("hold", "list", "--due-soon") == []
    wide = desk.type("hold", "list", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[-5:] == ["VOTES", "CLAIMED", "OPENED", "SESSION", "DIGEST"]
    assert wide[1].split()[-5:] == ["0/1", "-", "now", "ses_3", DIGEST]
    followed = desk.type("hold", "watch", "--mine", "--count", "2", "--json").stdout.splitlines()
    assert {json.loads(line)["id"] for line in followed} == {"hld_1", "hld_3"}
