"""`authz hold`, against a real server."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.cli.conftest import Terminal
from tests.cli.hold_states import state
from tests.servers.review_fakes import Review
from tests.servers.review_made import BODY, make_hold
from tests.servers.review_people import NOW, PEOPLE

from authz_cli import terminal as terminal_module
from authz_service.core.holds import Approval, Stage
from authz_service.core.stored_holds import HoldState

DIGEST = make_hold().digest
TWO = Approval("both", (Stage("security", 2, 1800.0),))


def test_the_list_has_what_scripts_rely_on(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    (hold,) = terminal.json("hold", "list")
    assert hold["id"] == "hld_1"
    assert hold["state"] == "pending"
    assert (hold["caller"]["subject"], hold["caller"]["groups"]) == ("alice", ["contractors"])
    assert (hold["model"], hold["rule"], hold["digest"]) == ("llama", "contractors", DIGEST)
    assert (hold["created_at"], hold["deadline"]) == ("2026-11-18T11:06:40Z", "2026-11-18T11:36:40Z")
    assert hold["waiting"] == 2


def test_the_list_shows_open_holds_unless_asked_for_others(review: Review, terminal: Terminal) -> None:
    for number, each in enumerate(HoldState):
        review.put(make_hold(f"hld_{number}", state=each))

    def states(*words: str) -> set[str]:
        return {hold["state"] for hold in terminal.json("hold", "list", *words)}

    assert states() == {"pending", "approved"}
    assert states("--state", "expired", "--state", "released") == {"expired", "released"}
    assert states("--all-states") == {str(each) for each in HoldState}


def test_what_is_due_soon_is_listed_alone(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_2", is_due_soon=True))
    assert [hold["id"] for hold in terminal.json("hold", "list", "--due-soon")] == ["hld_2"]


def test_the_list_is_a_table_for_people(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_22", caller=replace(PEOPLE["alice"], subject="mallory\x1b[2J")))
    assert terminal.type("hold", "list").stdout.splitlines() == [
        "ID      STATE    CALLER       MODEL  RULE         ENDS       WAITING",
        "hld_22  pending  mallory␛[2J  llama  contractors  in 30 min  0",
        "hld_1   pending  alice        llama  contractors  in 30 min  2",
    ]


def test_an_empty_list_says_so(terminal: Terminal) -> None:
    assert terminal.type("hold", "list").stdout == "no holds\n"
    assert terminal.json("hold", "list") == []


def test_a_list_that_is_longer_than_the_limit_says_so(review: Review, terminal: Terminal) -> None:
    for number in range(3):
        review.put(make_hold(f"hld_{number}"))
    result = terminal.type("hold", "list", "--limit", "2", "--json")
    assert len(json.loads(result.stdout)) == 2
    assert "more than 2" in result.stderr


def test_a_hold_is_shown_whole_with_who_why_and_what_silence_means(
    review: Review, terminal: Terminal
) -> None:
    review.put(make_hold())
    shown = terminal.type("hold", "show", "hld_1").stdout
    for part in (
        "Hold hld_1: pending",
        "[1] user  <- new turn",
        "  │ Delete the backups.",
        "  ├ seed: 7",
        "Caller:   alice (contractors) of https://issuer.test",
        "Rule:     contractors: Contractors ask first.",
        "Found:    EMAIL_ADDRESS x2",
        "security 1 (open, yours): 1 person for whom security, within 30 min",
        "(in 30 min); without the votes by then it is refused: silence is no consent",
        "Waiting:  2 open connection(s)",
        f"Digest:   sha256 {DIGEST}",
    ):
        assert part in shown


def test_the_shown_body_is_never_cut(review: Review, terminal: Terminal) -> None:
    text = "word " * 40_000 + "the end"
    review.put(make_hold(body=json.dumps({"messages": [{"role": "user", "content": text}]}).encode()))
    assert text in terminal.type("hold", "show", "hld_1").stdout


def test_json_of_a_hold_has_the_body(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_2", body=b"\xff"))
    assert terminal.json("hold", "show", "hld_1")["forward"] == BODY.decode()
    assert terminal.json("hold", "show", "hld_2")["forward_base64"] == "/w=="


def test_json_escapes_what_a_terminal_would_obey(review: Review, terminal: Terminal) -> None:
    review.put(make_hold(caller=replace(PEOPLE["alice"], subject="\x1b[2J\u202e\u009b")))
    assert "\\u001b[2J\\u202e\\u009b" in terminal.type("hold", "list", "--json").stdout


def test_a_beginning_of_an_id_is_enough_when_it_is_the_only_one(review: Review, terminal: Terminal) -> None:
    for name in ("hld_abc", "hld_abd", "hld_xyz"):
        review.put(make_hold(name))
    assert terminal.json("hold", "show", "hld_x")["id"] == "hld_xyz"
    ambiguous = terminal.type("hold", "show", "hld_a")
    assert (ambiguous.exit_code, "several holds" in ambiguous.stderr) == (2, True)
    assert terminal.type("hold", "show", "hld_nothing").exit_code == 3
    assert terminal.type("hold", "show", "").exit_code == 3


def test_an_id_that_is_the_beginning_of_another_means_itself(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_11"))
    assert terminal.json("hold", "show", "hld_1")["id"] == "hld_1"


def test_approving_without_a_terminal_needs_yes(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    result = terminal.type("hold", "approve", "hld_1", answer="y\n")
    assert (result.exit_code, state(review)) == (2, HoldState.PENDING)
    assert "--yes" in result.stderr
    result = terminal.type("hold", "approve", "hld_1", "--yes", "--reason", "Fine.")
    assert (result.exit_code, state(review)) == (0, HoldState.APPROVED)
    assert "Delete the backups." in result.stdout
    assert "hld_1 is approved" in result.stdout
    assert review.store.held["hld_1"].votes[0].reason == "Fine."


@pytest.mark.parametrize(
    ("answer", "code", "after"), [("y", 0, "approved"), ("n", 1, "pending"), ("", 1, "pending")]
)
def test_on_a_terminal_it_asks_after_it_has_shown_what_goes_out(
    review: Review, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, after: str
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    review.put(make_hold())
    result = terminal.type("hold", "approve", "hld_1", answer=f"{answer}\n")
    assert (result.exit_code, state(review)) == (code, after)
    shown, question = (
        result.stdout.index("Delete the backups."),
        result.stdout.index(f"sha256 {DIGEST[:12]}..."),
    )
    assert shown < question


def test_an_approval_names_the_bytes_and_is_refused_when_they_changed(
    review: Review, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change_while_asking() -> bool:
        review.put(make_hold(body=b'{"other":1}', version=2))
        return True

    review.put(make_hold())
    monkeypatch.setattr(terminal_module, "is_interactive", change_while_asking)
    result = terminal.type("hold", "approve", "hld_1", answer="y\n")
    assert (result.exit_code, state(review)) == (4, HoldState.PENDING)


def test_a_digest_that_was_named_must_be_that_of_the_hold(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    result = terminal.type("hold", "approve", "hld_1", "--yes", "--digest", "0" * 64)
    assert (result.exit_code, state(review)) == (4, HoldState.PENDING)
    result = terminal.type("hold", "approve", "hld_1", "--yes", "--digest", DIGEST.upper())
    assert (result.exit_code, state(review)) == (0, HoldState.APPROVED)


def test_a_server_that_shows_other_bytes_than_its_digest_names_is_not_believed(
    review: Review, terminal: Terminal
) -> None:
    review.put(make_hold(digest="0" * 64))
    for words in (("show", "hld_1"), ("approve", "hld_1", "--yes")):
        result = terminal.type("hold", *words)
        assert result.exit_code == 1
        assert "other bytes" in result.stderr
    assert state(review) is HoldState.PENDING


def test_a_second_decision_is_a_conflict_that_says_who_decided(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    terminal.type("hold", "approve", "hld_1", "--yes")
    result = terminal.type("hold", "reject", "hld_1", "--reason", "No.", person="rob")
    assert (result.exit_code, state(review)) == (4, HoldState.APPROVED)
    assert "rita" in result.stderr


def test_a_rejection_needs_a_reason_which_is_on_record(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    assert terminal.type("hold", "reject", "hld_1").exit_code == 2
    assert terminal.type("hold", "reject", "hld_1", "--reason", "  ").exit_code == 2
    assert state(review) is HoldState.PENDING
    result = terminal.type("hold", "reject", "hld_1", "--reason", "Not on a Friday.")
    assert (result.exit_code, state(review)) == (0, HoldState.REJECTED)
    assert review.store.held["hld_1"].votes[0].reason == "Not on a Friday."


@pytest.mark.parametrize(("answer", "code", "after"), [("y", 0, "rejected"), ("n", 1, "pending")])
def test_a_rejection_on_a_terminal_is_asked_about_too(
    review: Review, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, after: str
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    review.put(make_hold())
    result = terminal.type("hold", "reject", "hld_1", "--reason", "No.", answer=f"{answer}\n")
    assert (result.exit_code, state(review)) == (code, after)
    assert result.stdout.index("Delete the backups.") < result.stdout.index("Reject these bytes")


def test_a_rejection_on_a_terminal_takes_yes(
    review: Review, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal_module, "is_interactive", lambda: True)
    review.put(make_hold())
    result = terminal.type("hold", "reject", "hld_1", "--reason", "No.", "--yes")
    assert (result.exit_code, state(review)) == (0, HoldState.REJECTED)


def test_when_more_votes_are_needed_it_says_so(review: Review, terminal: Terminal) -> None:
    review.put(make_hold(approvals=(TWO,)))
    result = terminal.type("hold", "approve", "hld_1", "--yes")
    assert (result.exit_code, state(review)) == (0, HoldState.PENDING)
    assert "more votes are needed in both 1" in result.stdout


def test_an_approval_with_json_is_the_hold_after_it(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    assert terminal.type("hold", "approve", "hld_1", "--json").exit_code == 2
    assert terminal.json("hold", "approve", "hld_1", "--yes")["state"] == "approved"


def test_an_overdue_hold_is_a_conflict(review: Review, terminal: Terminal) -> None:
    review.put(make_hold())
    review.store.time = NOW + 3600
    result = terminal.type("hold", "approve", "hld_1", "--yes")
    assert (result.exit_code, "expired" in result.stderr) == (4, True)


@pytest.mark.parametrize(
    ("person", "words", "code"),
    [
        ("nobody", ("hold", "list"), 5),
        ("bob", ("hold", "list"), 5),
        ("ada", ("hold", "approve", "hld_1", "--yes"), 5),
        ("lea", ("hold", "show", "hld_1"), 3),
        ("rita", ("hold", "show", "hld_9"), 3),
    ],
)
def test_refusals_have_their_exit_codes_and_one_line(
    review: Review, terminal: Terminal, person: str, words: tuple[str, ...], code: int
) -> None:
    review.put(make_hold())
    result = terminal.type(*words, person=person)
    assert (result.exit_code, len(result.stderr.splitlines())) == (code, 1)
    assert "Traceback" not in result.output


def test_a_server_that_is_away_has_an_exit_code_of_its_own(review: Review, terminal: Terminal) -> None:
    terminal.environment["AUTHZ_SERVER"] = "unix:/nonexistent/review.sock"
    result = terminal.type("hold", "list")
    assert (result.exit_code, "does not answer" in result.stderr) == (6, True)


def test_a_store_that_is_away_is_said_by_the_server(review: Review, terminal: Terminal) -> None:
    review.store.is_away = True
    result = terminal.type("hold", "list")
    assert (result.exit_code, "database is away" in result.stderr) == (6, True)


def test_watching_prints_what_is_open_and_then_changes(review: Review, terminal: Terminal) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_2"))
    result = terminal.type("hold", "watch", "--count", "2", "--json")
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["hld_2", "hld_1"]
    lines = terminal.type("hold", "watch", "--count", "1").stdout.splitlines()
    assert lines == ["hld_2  pending  alice  llama  contractors  in 30 min  0"]


def test_a_watch_at_a_wrong_address_ends_at_once(review: Review, terminal: Terminal) -> None:
    terminal.environment["AUTHZ_SERVER"] = "unix:/nonexistent/review.sock"
    assert terminal.type("hold", "watch").exit_code == 6
    assert terminal.type("hold", "watch", person="bob").exit_code == 6


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("hld_2", "by hold hld_2; see: authz hold show hld_2"),
        ("grant_1", "by grant grant_1; see: authz grant show grant_1"),
        (
            "ses_1",
            "by session ses_1, whose request the rules refuse by now, or let through without asking; see:",
        ),
    ],
)
def test_a_page_says_what_took_the_place_of_a_hold(
    review: Review, terminal: Terminal, by: str, told: str
) -> None:
    review.put(make_hold("hld_1", state=HoldState.SUPERSEDED, superseded_by=by))
    assert told in " ".join(terminal.type("hold", "show", "hld_1").stdout.split())
