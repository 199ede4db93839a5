"""Who approves, how many, by when: votes taken back, stages escalated, decisions made alone and reviewed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import openai
import pytest
from tests.e2e.people import (
    approve,
    ask,
    asking,
    hold_of,
    in_background,
    received,
    reviewer,
    said,
    state_of,
    until,
)
from tests.e2e.stack import CONFIG, Stack

from authz_service.identity.embedded import EmbeddedIssuer
from authz_service.keys.data_dir import DataDir

STAGED = """\
approvals:
  pair:
    stages:
      - reviewers: >-
          'reviewers' in person.groups && 'contractors' in caller.groups && request.model == 'llama'
        votes: 2
        within: 30m
        hours: {{zone: Europe/Berlin, days: [mon-sun], from: "00:00", to: "24:00"}}
  quick:
    stages:
      - reviewers: "'reviewers' in person.groups"
        within: 2s
        remind: 1s
        on_timeout: escalate
        escalate: {{reviewers: "'leads' in person.groups", within: 30m}}
  robots:
    stages:
      - {{reviewers: "'reviewers' in person.groups", votes: 2, within: 30m, service_accounts: true}}
"""
PAIR = CONFIG.replace("approvals:\n", STAGED)
PAIR = PAIR.replace("effect: hold, approval: security", "effect: hold, approval: pair")
PAIR = PAIR.replace(
    "answers:\n",
    "    - {{name: hasty, when: \"'hasty' in caller.groups\", effect: hold, approval: quick}}\n"
    "    - {{name: checked, when: \"'checked' in caller.groups\", effect: hold, approval: robots}}\n"
    "answers:\n",
    1,
)
PAIR = PAIR.replace(
    "  auditors:", "  break_glass: \"'oncall' in person.groups && 'mfa' in person.groups\"\n  auditors:", 1
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stages"), config=PAIR) as running:
        yield running


def test_two_people_are_two_people_and_a_vote_counts_until_it_is_taken_back(stack: Stack) -> None:
    waiting = asking(stack, "abe", "Ship one")
    hold = hold_of(stack, "abe")
    assert hold["source"] == "127.0.0.1"
    own = stack.token("abe", "reviewers", review=True)
    assert "whoever sent a request cannot decide" in approve(stack, hold, check=5, token=own)
    agent = stack.token("abe", "reviewers", "contractors")  # what the agent has is for the gateway
    approve(stack, hold, check=5, token=agent)
    approve(stack, hold, token=reviewer(stack, "rita"))
    assert "voted on this hold already" in approve(stack, hold, check=4, token=reviewer(stack, "rita"))
    stack.cli("hold", "withdraw", hold["id"], "--reason", "too fast", token=reviewer(stack, "rita"))
    approve(stack, hold, token=reviewer(stack, "rolf"))
    assert state_of(stack, hold) == "pending"
    assert received(stack, "Ship one") == []
    approve(stack, hold, token=reviewer(stack, "rita"))
    assert said(waiting.result(60))
    assert len(received(stack, "Ship one")) == 1
    late = stack.cli("hold", "withdraw", hold["id"], check=4, token=reviewer(stack, "rita"))
    assert "has been released" in late.stderr


def test_a_service_account_and_its_owner_are_one_of_two(stack: Stack) -> None:
    client = stack.sdk("bob", "checked", max_retries=0)
    waiting = in_background(lambda: ask(client, "Ship robots"))
    hold = hold_of(stack, "bob")
    issuer = EmbeddedIssuer.load(DataDir.open(stack.data).issuer_key)
    robot = issuer.sign(
        "robot", ["reviewers"], owner="rolf", audience="authz-review", ttl=600, now=time.time()
    )
    approve(stack, hold, token=robot)
    assert "are one person" in approve(stack, hold, check=4, token=reviewer(stack, "rolf"))
    assert state_of(stack, hold) == "pending"
    options = ("--uses", "2", "--until", "1h", "--yes", "--json")
    made = stack.cli("grant", "create", "--from-hold", hold["id"], *options, token=robot)
    grant = json.loads(made.stdout)
    refused = stack.cli("grant", "approve", grant["id"], "--yes", check=4, token=reviewer(stack, "rolf"))
    assert "are one person" in refused.stderr
    assert received(stack, "Ship robots") == []
    approve(stack, hold, token=reviewer(stack, "rita"))
    assert said(waiting.result(60))
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_a_stage_is_escalated_to_others_while_the_caller_waits(stack: Stack) -> None:
    client = stack.sdk("bea", "hasty", max_retries=0)
    messages = [{"role": "user", "content": "Ship two"}]
    waiting = in_background(lambda: client.chat.completions.create(model="llama", messages=messages))  # type: ignore[arg-type]  # a plain dict is one
    hold = hold_of(stack, "bea")
    lead = stack.token("lea", "reviewers", "leads", review=True)

    def escalated() -> bool:
        shown = stack.cli_json("hold", "show", hold["id"])
        return bool(shown["stages"][0]["escalation"]["is_escalated"])

    until(escalated, "the escalation")
    refused = approve(stack, hold, check=5, token=reviewer(stack, "rita"))
    assert "not among the reviewers" in refused
    approve(stack, hold, token=lead)
    assert said(waiting.result(60))
    kinds = [event["kind"] for event in stack.session(hold["session"])["events"]]
    assert [kind for kind in kinds if kind.startswith("hold.")] == [
        "hold.opened",
        "hold.reminded",
        "hold.escalated",
        "hold.voted",
        "hold.approved",
    ]


def test_whoever_decides_alone_is_reviewed_and_the_record_verifies(stack: Stack) -> None:
    waiting = asking(stack, "cyd", "Ship three")
    hold = hold_of(stack, "cyd")
    alone = ("hold", "approve", hold["id"], "--break-glass", "--reason", "the site is down", "--yes")
    stack.cli(*alone, check=5, token=stack.token("cyd", "oncall", "mfa", review=True))
    stack.cli(*alone, check=5, token=reviewer(stack, "rita"))
    oncall = stack.token("gus", "oncall", "mfa", "reviewers", review=True)
    stack.cli(*alone, token=oncall)
    assert said(waiting.result(60))
    assert [due["id"] for due in stack.cli_json("hold", "list", "--to-review")] == [hold["id"]]
    review = ("hold", "review", hold["id"], "--reason", "it was right")
    stack.cli(*review, check=5, token=oncall)
    stack.cli(*review, token=reviewer(stack, "rita"))
    assert stack.cli_json("hold", "list", "--to-review") == []
    assert "hold.break_glass" in [e["kind"] for e in stack.session(hold["session"])["events"]]
    stack.cli("audit", "verify", "--live", "--config", str(stack.config_file))


def test_a_claim_binds_nobody_and_one_word_rejects_all_that_wait(stack: Stack) -> None:
    waiting = asking(stack, "dee", "Ship four")
    hold = hold_of(stack, "dee")
    stack.cli("hold", "claim", hold["id"], token=reviewer(stack, "rita"))
    lost = stack.cli("hold", "claim", hold["id"], check=4, token=reviewer(stack, "rolf"))
    assert "rita has claimed this hold" in lost.stderr
    stack.cli("hold", "comment", hold["id"], "Not today.", token=reviewer(stack, "rolf"))
    rejected = stack.cli("hold", "reject", "--all", "--reason", "not today", token=reviewer(stack, "rolf"))
    assert f"{hold['id']} is rejected" in rejected.stdout
    with pytest.raises(openai.PermissionDeniedError, match="not today"):
        waiting.result(60)
    assert received(stack, "Ship four") == []
