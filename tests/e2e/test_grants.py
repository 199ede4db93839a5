"""Grants through Envoy with the official SDK: made from a hold, used so often, of no use to their makers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from tests.e2e.people import (
    ask,
    asking,
    contractor,
    hold_of,
    in_background,
    received,
    reject,
    reviewer,
    said,
    sha256,
    state_of,
    until,
)
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import SSE_TYPE, Answer, stream

RULES = """\
    - {{name: pairs, when: "'pairs' in caller.groups", effect: hold, approval: two}}
answers:
"""
APPROVALS = """\
approvals:
  two:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 2, within: 30m}}
"""
REVIEW = """\
  reviewers: "'reviewers' in person.groups"
  operators: "'operators' in person.groups"
"""
GRANTS_CONFIG = (
    CONFIG.replace("answers:\n", RULES)
    .replace("approvals:\n", APPROVALS)
    .replace("  reviewers: \"'reviewers' in person.groups\"\n", REVIEW, 1)
)
PRIVATE_KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v\n-----END PRIVATE KEY-----"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with approvals by one person, and by two."""
    with Stack(tmp_path_factory.mktemp("grants"), config=GRANTS_CONFIG) as running:
        yield running


def create(stack: Stack, hold: dict[str, Any], *more: str, who: str = "rita") -> dict[str, Any]:
    """A grant by one vote; what the command says of it."""
    given = () if "--uses" in more else ("--uses", "2")
    command = ("grant", "create", "--from-hold", hold["id"], "--until", "1h", "--yes", *given, *more)
    done = stack.cli(*command, "--json", token=reviewer(stack, who))
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def granted(stack: Stack, subject: str, text: str, *more: str) -> dict[str, Any]:
    """A grant that is made from a contractor's question, which goes through under it."""
    waiting = asking(stack, subject, text)
    grant = create(stack, hold_of(stack, subject), *more)
    assert said(waiting.result(60)) == "Hello from upstream."
    return grant


def shown(stack: Stack, grant: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = stack.cli_json("grant", "show", grant["id"])
    return found


def is_held(stack: Stack, subject: str, text: str) -> None:
    """The question waits for people; it is rejected here, so that nothing is left."""
    waiting = asking(stack, subject, text)
    hold = hold_of(stack, subject)
    assert received(stack, text) == []
    reject(stack, hold, "enough")
    with pytest.raises(openai.PermissionDeniedError):
        waiting.result(60)


def test_one_command_lets_the_request_and_its_likes_through_and_then_no_more(stack: Stack) -> None:
    grant = granted(stack, "ann", "Sum up page 1", "--uses", "3")
    assert (grant["state"], grant["uses"], grant["caller"]) == ("active", 3, "ann")
    client = contractor(stack, "ann")
    for page in (2, 3):
        assert said(ask(client, f"Sum up page {page}")) == "Hello from upstream."
    after = shown(stack, grant)
    assert (after["state"], after["used"]) == ("used_up", 3)
    assert len({use["session"] for use in after["let_through"]}) == 3
    is_held(stack, "ann", "Sum up page 4")
    assert [len(received(stack, f"Sum up page {page}")) for page in (1, 2, 3)] == [1, 1, 1]


def test_the_record_and_the_explanation_say_under_what_it_went_through(stack: Stack) -> None:
    grant = granted(stack, "bea", "Translate this")
    (use,) = shown(stack, grant)["let_through"]
    session = stack.session(use["session"])
    kinds = [event["kind"] for event in session["events"]]
    start = kinds.index("grant.used")
    assert kinds[start - 1 : start + 2] == ["request.decided", "grant.used", "request.released"]
    assert session["events"][start + 1]["data"]["grant"] == grant["id"]
    hold = stack.cli_json("hold", "show", grant["hold"])
    assert (hold["state"], hold["superseded_by"]) == ("superseded", grant["id"])
    assert f"by grant {grant['id']}; see: authz grant show" in stack.cli("hold", "show", grant["hold"]).stdout
    page = stack.cli("session", "show", use["session"]).stdout
    assert f"let through under {grant['id']}, use 1 of 2" in page
    assert f"{grant['id']}: vote for, by rita" in page
    explained = stack.cli("policy", "explain", use["session"]).stdout
    assert f"let through under grant {grant['id']}" in explained
    decisions = stack.cli_json("policy", "explain", use["session"])
    assert [d["grant"] for d in decisions if d["about"] == "request"] == [None, grant["id"]]
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_a_mask_stays_and_a_deny_is_stronger(stack: Stack) -> None:
    grant = granted(stack, "cleo", "Write to jane@example.com")
    client = contractor(stack, "cleo")
    with pytest.raises(openai.PermissionDeniedError):
        ask(client, f"Keep this: {PRIVATE_KEY}")
    assert said(ask(client, "Write to john@example.org, too")) == "Hello from upstream."
    (body,) = received(stack, ", too")
    assert b"[EMAIL_ADDRESS]" in body
    assert b"john@example.org" not in body
    assert received(stack, "Keep this") == []
    assert shown(stack, grant)["used"] == 2


def test_whoever_voted_for_a_group_has_no_use_of_it(stack: Stack) -> None:
    granted(stack, "dora", "Draft a letter", "--group", "contractors", "--uses", "5")
    assert said(ask(contractor(stack, "dan"), "Draft another letter")) == "Hello from upstream."
    is_held(stack, "rita", "Draft my letter")
    revoke_all(stack)


def revoke_all(stack: Stack) -> None:
    for grant in stack.cli_json("grant", "list"):
        stack.cli("grant", "revoke", grant["id"], "--reason", "tidy")


def test_two_votes_are_for_the_very_same_terms(stack: Stack) -> None:
    client = stack.sdk("emil", "pairs", max_retries=0)
    waiting = in_background(lambda: ask(client, "Delete the archive"))
    hold = hold_of(stack, "emil")
    grant = create(stack, hold)
    assert (grant["state"], grant["open_stages"]) == ("proposed", [{"approval": "two", "stage": 0}])
    rolf = reviewer(stack, "rolf")
    again = stack.cli("grant", "approve", grant["id"], "--yes", check=4, token=reviewer(stack, "rita"))
    assert "voted" in again.stderr
    other = stack.cli(
        "grant", "approve", grant["id"], "--digest", sha256(b"other"), "--yes", check=4, token=rolf
    )
    assert grant["digest"] in other.stderr
    assert not waiting.done()
    told = stack.cli("grant", "approve", grant["id"][:-2], "--yes", token=rolf)
    assert f"{grant['id']} is active" in told.stdout
    assert said(waiting.result(60)) == "Hello from upstream."
    assert said(ask(client, "Delete the other archive")) == "Hello from upstream."


def test_the_requester_makes_no_grant_and_a_stranger_sees_none(stack: Stack) -> None:
    waiting = asking(stack, "fay", "Raise my pay")
    hold = hold_of(stack, "fay")
    command = ("grant", "create", "--from-hold", hold["id"], "--uses", "1", "--until", "1h", "--yes")
    own = stack.cli(*command, check=5, token=reviewer(stack, "fay"))
    assert "cannot decide on it" in own.stderr
    stack.cli(*command, check=5, token=stack.token("rita", "reviewers"))
    wide = stack.cli(*command, "--group", "staff", check=2, token=reviewer(stack, "rita"))
    assert "in no group staff" in wide.stderr
    late = (*command[:6], "--until", "40d", "--yes")
    assert "30 days" in stack.cli(*late, check=4, token=reviewer(stack, "rita")).stderr
    no_terminal = stack.cli(*command[:-1], check=2, token=reviewer(stack, "rita"))
    assert "--yes" in no_terminal.stderr
    assert state_of(stack, hold) == "pending"
    reject(stack, hold, "no")
    with pytest.raises(openai.PermissionDeniedError):
        waiting.result(60)


def test_the_same_template_is_all_but_the_newest_user_turn(stack: Stack) -> None:
    system = {"role": "system", "content": "You sort mail."}

    def sorting(text: str, about: dict[str, str] = system) -> str | None:
        client = contractor(stack, "gil")
        messages: list[Any] = [about, {"role": "user", "content": text}]
        done = client.chat.completions.create(model="llama", messages=messages)
        return done.choices[0].message.content

    waiting = in_background(lambda: sorting("Mail one"))
    grant = create(stack, hold_of(stack, "gil"), "--same-template", "--uses", "5")
    assert waiting.result(60) == "Hello from upstream."
    assert sorting("Mail two") == "Hello from upstream."
    other = in_background(lambda: sorting("Mail three", system | {"content": "You obey mail."}))
    hold = hold_of(stack, "gil")
    reject(stack, hold, "another system prompt")
    with pytest.raises(openai.PermissionDeniedError):
        other.result(60)
    assert shown(stack, grant)["used"] == 2
    revoke_all(stack)


def test_revoking_ends_what_streams_under_it_if_asked(stack: Stack) -> None:
    grant = granted(stack, "hans", "Tell me of the sea", "--uses", "3")
    gate = stack.upstream.gate()
    first, *rest = stream(["Once ", "upon ", "a ", "time."]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    client = contractor(stack, "hans")
    messages: list[Any] = [{"role": "user", "content": "Tell me more"}]
    with client.chat.completions.create(model="llama", messages=messages, stream=True) as answer:
        chunks = iter(answer)
        next(chunks)
        told = stack.cli("grant", "revoke", grant["id"], "--kill", "--reason", "Enough of this.")
        session = until(lambda: shown(stack, grant)["let_through"], "its uses")[-1]["session"]
        assert f"session {session} is ended" in told.stdout
        with pytest.raises(openai.APIError, match=r"Enough of this\."):
            list(chunks)
    gate.open()
    assert shown(stack, grant)["state"] == "revoked"
    assert stack.session(session)["status"] == "killed"
    assert "revoked by" in stack.cli("grant", "revoke", grant["id"], check=4).stderr
    is_held(stack, "hans", "Tell me yet more")


def test_another_definition_of_its_approval_voids_a_grant(stack: Stack) -> None:
    grant = granted(stack, "ina", "Look at this", "--uses", "5")
    stack.votes = 2
    assert stack.reload()["event"] == "policy.activated"
    try:
        assert shown(stack, grant)["void"] is True
        assert "(void)" in stack.cli("grant", "list").stdout
        is_held(stack, "ina", "Look at that")
    finally:
        stack.votes = 1
        stack.reload()
    assert shown(stack, grant)["used"] == 1
    assert stack.cli("grant", "list", "--caller", "ina", "-o", "wide").stdout.count("ina") == 1
