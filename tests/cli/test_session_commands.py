"""`authz session`, against a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest
from tests.cli.conftest import Terminal
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_session
from tests.servers.review_people import PEOPLE

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload

REQUEST = b'{"model":"llama","messages":[{"role":"user","content":"Hello\\u001b[2J"}]}'
ANSWER = (b'data: {"choices":[{"delta":{"content":"Hi \xe2', b'\x80\xae"}}]}\n\n', b"data: [DONE]\n\n")


@pytest.fixture(autouse=True)
def _record(review: Review) -> None:
    store = review.store
    store.past = {
        "ses_1": make_session("ses_1"),
        "ses_2": make_session("ses_2", decision="deny", status="refused", rule="no-keys", caller=None),
    }
    store.recorded = [
        EntryDraft(Kind.REQUEST_RECEIVED, "ses_1", {"size": 70}, {"caller": caller_payload(PEOPLE["alice"])}),
        EntryDraft(Kind.REQUEST_RELEASED, "ses_1", {"model": "llama"}, {"body": REQUEST}),
        *(EntryDraft(Kind.ANSWER_RELEASED, "ses_1", {"masked": {}}, {"body": piece}) for piece in ANSWER),
        EntryDraft(Kind.REQUEST_REFUSED, "ses_2", {"code": "denied"}, {"body": b"[PRIVATE_KEY]"}),
    ]


def test_the_list_has_what_scripts_rely_on(terminal: Terminal) -> None:
    denied, allowed = terminal.json("session", "list", person="ada")
    assert (allowed["id"], allowed["caller"]["subject"], allowed["model"]) == ("ses_1", "alice", "llama")
    assert (allowed["decision"], allowed["rule"], allowed["status"]) == ("allow", "staff", "completed")
    assert allowed["started_at"] == "2026-11-18T11:06:40Z"
    assert (denied["caller"], denied["decision"]) == (None, "deny")


def test_the_list_filters(terminal: Terminal) -> None:
    found = terminal.json("session", "list", "--decision", "deny", person="ada")
    assert [session["id"] for session in found] == ["ses_2"]


def test_the_list_is_a_table_for_people(terminal: Terminal) -> None:
    head, first, _ = terminal.type("session", "list", person="ada").stdout.splitlines()
    assert head.split() == ["ID", "STARTED", "CALLER", "MODEL", "DECISION", "RULE", "STATUS"]
    assert first.startswith("ses_2")


def test_json_of_a_session_has_events_and_the_bodies_as_they_crossed(terminal: Terminal) -> None:
    session = terminal.json("session", "show", "ses_1", person="ada")
    assert session["request"] == REQUEST.decode()
    assert session["answer"] == b"".join(ANSWER).decode()
    assert [event["kind"] for event in session["events"]] == [
        "request.received",
        "request.released",
        *["answer.released"] * 3,
        "session.read",
    ]
    assert all(event["at"] == "2026-11-18T11:06:40Z" for event in session["events"])
    assert json.loads(session["events"][0]["payloads"][0]["body"])["subject"] == "alice"


def test_a_session_of_which_nothing_crossed_has_no_bodies(terminal: Terminal) -> None:
    session = terminal.json("session", "show", "ses_2", person="ada")
    assert (session["request"], session["answer"]) == (None, None)


def test_a_session_is_one_readable_page_that_is_safe_for_a_terminal(terminal: Terminal) -> None:
    shown = terminal.type("session", "show", "ses_1", person="ada").stdout
    for part in (
        "Session ses_1: completed",
        "Caller:   alice (contractors) of https://issuer.test",
        "Decision: allow by rule staff",
        "Tokens:   3 in, 5 out",
        "request.released",
        "Hello␛[2J",
        "  ├ choices/0/delta/content:",
        "  │ Hi <U+202E>",
    ):
        assert part in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_beginnings_of_ids_and_refusals_work_as_for_holds(terminal: Terminal) -> None:
    assert terminal.type("session", "show", "ses_", person="ada").exit_code == 2
    assert terminal.type("session", "show", "ses_9", person="ada").exit_code == 3
    assert terminal.type("session", "show", "ses_1", person="rita").exit_code == 5
    assert terminal.type("session", "list", person="rita").exit_code == 5


def test_the_list_is_narrowed_by_what_was_typed(terminal: Terminal, review: Review) -> None:
    words = ("session", "list", "--since", "2026-11-18", "--group", "contractors", "--text", "staff")
    assert [session["id"] for session in terminal.json(*words, person="ada")] == ["ses_1"]
    assert review.store.recorded[-1].payloads["text"] == b"staff"
    assert terminal.json("session", "list", "--until", "2026-11-18T00:00Z", person="ada") == []
    assert terminal.json("session", "list", "--since", "1h", person="ada") == []
    assert terminal.type("session", "list", "--since", "soon", person="ada").exit_code == 2


def test_a_list_from_an_index_that_is_behind_says_so(terminal: Terminal, review: Review) -> None:
    review.index.is_current = False
    result = terminal.type("session", "list", "--group", "contractors", person="ada")
    assert "not in the index yet" in result.stderr
    assert "ses_1" in result.stdout


def test_a_wide_list_has_what_does_not_fit_a_narrow_one(terminal: Terminal) -> None:
    head, _, first = terminal.type("session", "list", "-o", "wide", person="ada").stdout.splitlines()
    assert head.split()[7:] == ["GROUPS", "API", "PATH", "TOOK", "TOKENS", "HOLD"]
    more = "contractors openai POST /v1/chat/completions 2.0 s 3+5 -"
    assert first.split()[-8:] == more.split()


def entry(kind: Kind, session: str, data: Mapping[str, object], **payloads: bytes) -> EntryDraft:
    return EntryDraft(kind, session, data, payloads)  # type: ignore[arg-type]


def held(session: str) -> list[EntryDraft]:
    voter = json.dumps({"voter": ["iss", "rita"], "account": ["iss", "rita"], "name": "Rita\u202e"}).encode()
    rules = {"rules": ["contractors", "big"], "shadow": ["later"], "errors": ["odd"], "policy": "ab" * 32}
    decided = {
        "effect": "hold",
        "rule": "contractors",
        "findings": {"EMAIL_ADDRESS": 2, "PERSON": 0},
        **rules,
    }
    released = {"masked": {"IBAN_CODE": 1}, "restored": {"JWT": 2}}
    return [
        entry(Kind.REQUEST_RECEIVED, session, {"size": 70}, caller=caller_payload(PEOPLE["alice"])),
        entry(Kind.REQUEST_DECIDED, session, decided),
        entry(Kind.HOLD_OPENED, session, {"hold": "hld_1"}, forward=REQUEST),
        entry(Kind.HOLD_VOTED, session, {"verdict": "approve"}, voter=voter, reason=b"Looked\x1b at it"),
        entry(Kind.HOLD_APPROVED, session, {"hold": "hld_1"}),
        entry(Kind.REQUEST_RELEASED, session, {"model": "llama"}, body=REQUEST),
        entry(Kind.ANSWER_STARTED, session, {"status": 200}),
        *(entry(Kind.ANSWER_RELEASED, session, released, body=piece) for piece in ANSWER),
    ]


def test_a_page_tells_who_decided_why_and_what_was_masked(terminal: Terminal, review: Review) -> None:
    review.store.past["ses_3"] = make_session("ses_3", decision="hold", rule="contractors", hold="hld_1")
    review.store.recorded += held("ses_3")
    shown = terminal.type("session", "show", "ses_3", person="ada").stdout
    for part in (
        "Decision: hold by rule contractors",
        "Rules:    hold by rule contractors; also matched: big; in shadow: later; failed: odd",
        "Found:    EMAIL_ADDRESS x2\n",
        "Policy:   abababababab\n",
        "Hold:     hld_1",
        "Vote:     for, by Rita<U+202E>, saying: Looked␛ at it, 2026-11-18",
        "Outcome:  approved",
        "Waited:   0.00 s",
        "Answer:   status 200, 3 pieces, the first after 0.00 s",
        "Masked:   IBAN_CODE x3 in the answer",
        "Restored: JWT x6 in the answer",
        "after 2.00 s",
        "Read by:  ada",
    ):
        assert part in shown
    assert "\x1b" not in shown


def test_a_page_tells_what_reviewers_did_beside_voting_and_how_it_came_out_in_the_end(
    terminal: Terminal, review: Review
) -> None:
    review.store.past["ses_4"] = make_session("ses_4", decision="hold", rule="contractors", hold="hld_1")
    voter = json.dumps({"voter": ["iss", "gus"], "account": ["iss", "gus"], "name": "Gus"}).encode()
    begun = [draft for draft in held("ses_4") if draft.kind is not Kind.REQUEST_RELEASED][:3]
    review.store.recorded += [
        *begun,
        entry(Kind.HOLD_COMMENTED, "ses_4", {}, voter=voter, comment=b"What for?"),
        entry(Kind.HOLD_BREAK_GLASS, "ses_4", {"verdict": "approve"}, voter=voter, reason=b"It is down."),
        entry(Kind.HOLD_APPROVED, "ses_4", {}),
        entry(Kind.HOLD_WITHDRAWN, "ses_4", {}, voter=voter, reason=b"It is up."),
        entry(Kind.HOLD_EXPIRED, "ses_4", {}),
        entry(Kind.HOLD_REVIEWED, "ses_4", {}, reason=b"Fine."),
    ]
    shown = terminal.type("session", "show", "ses_4", person="ada").stdout
    for part in (
        "Vote:     for, alone, by Gus, saying: It is down.",
        "Then:     commented on by Gus, saying: What for?",
        "Then:     vote taken back by Gus, saying: It is up.",
        "Then:     reviewed by somebody whose name is gone, saying: Fine.",
        "Outcome:  expired: nobody decided in time",
    ):
        assert part in shown


def test_a_request_that_went_nowhere_is_shown_as_it_is_kept(terminal: Terminal) -> None:
    shown = terminal.type("session", "show", "ses_2", person="ada").stdout
    assert "The request, which went nowhere; every finding in it is masked\n" in shown
    assert "[PRIVATE_KEY]" in shown
    assert "Refused:  the request: denied" in shown


def test_a_killed_session_says_by_whom_and_why(terminal: Terminal, review: Review) -> None:
    operator = caller_payload(PEOPLE["olga"])
    review.store.recorded.append(
        entry(Kind.SESSION_KILLED, "ses_1", {}, operator=operator, reason=b"It loops.")
    )
    shown = terminal.type("session", "show", "ses_1", person="ada").stdout
    assert "Killed:   by olga, saying: It loops." in shown


def test_who_read_or_ended_a_session_is_told_by_pseudonym_once_the_name_is_gone(
    terminal: Terminal, review: Review
) -> None:
    review.store.recorded.append(entry(Kind.SESSION_READ, "ses_1", {"reader": "ab12"}))
    review.store.recorded.append(entry(Kind.SESSION_KILLED, "ses_1", {"operator": "cd34"}))
    shown = terminal.type("session", "show", "ses_1", person="ada").stdout
    assert "Killed:   by cd34\n" in shown
    assert re.search(r"^Read by: +ab12, ada$", shown, re.MULTILINE)


def test_raw_is_the_body_byte_for_byte(terminal: Terminal) -> None:
    result = terminal.type("session", "show", "ses_1", "--raw", "answer", person="ada")
    assert result.stdout_bytes == b"".join(ANSWER)
    assert terminal.type("session", "show", "ses_1", "--raw", "request", person="ada").stdout_bytes == REQUEST
    assert terminal.type("session", "show", "ses_2", "--raw", "answer", person="ada").exit_code == 3


def test_the_record_is_followed_entry_by_entry(terminal: Terminal, review: Review) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        words = ("session", "tail", "ses_1", "--limit", "2", "--json")
        tailing = pool.submit(terminal.type, *words, person="ada")
        while review.store.recorded[-1].kind is not Kind.SESSION_READ:
            assert not tailing.done(), tailing.result().output
        # The cursor is taken after the reading is recorded: entries are added until one is told.
        while not tailing.done():
            review.do(review.store.append(entry(Kind.ANSWER_RELEASED, "ses_1", {}, body=b"hi")))
        told = [json.loads(line) for line in tailing.result().stdout.splitlines()]
    assert [(t["session"], t["kind"], t["payloads"]) for t in told] == [
        ("ses_1", "answer.released", [{"name": "body", "body": "hi"}])
    ] * 2
    assert told[1]["sequence"] == told[0]["sequence"] + 1


def test_a_tail_that_is_refused_ends(terminal: Terminal) -> None:
    assert terminal.type("session", "tail", person="rita").exit_code == 5
    assert terminal.type("session", "tail", "ses_none", person="ada").exit_code == 3


def test_an_operator_ends_a_session_once_it_is_said_that_it_is_meant(
    terminal: Terminal, review: Review
) -> None:
    review.store.past["ses_4"] = make_session("ses_4", ended_at=None, status="released")
    words = ("session", "kill", "ses_4", "--reason", "It loops.")
    assert terminal.type(*words, person="olga").exit_code == 2
    assert terminal.type(*words, "--yes", person="ada").exit_code == 5
    assert terminal.json(*words, "--yes", person="olga")["status"] == "killing"
    assert review.store.recorded[-1].payloads["reason"] == b"It loops."
    assert terminal.type("session", "kill", "ses_1", "--reason", "No.", "--yes", person="olga").exit_code == 4
