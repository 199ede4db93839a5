"""An auditor learns which rules decided a session, what they read, and what is not known any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.servers.loop_thread import LoopThread
from tests.servers.review_fakes import Review, running
from tests.servers.review_made import make_session
from tests.servers.review_people import PEOPLE

from authz_cli.main import cli
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import surroundings
from authz_service.commands.policy_explain import Recorded, explain
from authz_service.config.read import read_config
from authz_service.core.entries import caller_payload

CONFIG = """\
version: 1
listen: {address: "127.0.0.1:10000"}
models: [{name: llama, url: "http://127.0.0.1:8000"}]
identity: {embedded: true}
review: {audience: authz-review, reviewers: "true", auditors: "true"}
requests:
  default: deny
  rules:
    - {name: contractors, when: "'contractors' in caller.groups", effect: hold, approval: security}
    - {name: no-keys, when: "findings.PRIVATE_KEY.count > 0", effect: deny}
    - {name: long, when: "request.user_text.size() > 9", effect: deny, shadow: true}
    - {name: claims, when: "caller.claims['dept'] == 'x'", effect: deny, shadow: true}
approvals: {security: {stages: [{reviewers: "true", votes: 1, within: 30m, on_timeout: reject}]}}
"""
DIGEST = read_config(CONFIG, source=Path("authz.yaml"), surroundings=surroundings()).digest
BODY = b'{"model":"llama","messages":[{"role":"user","content":"Good morning."}]}'
DATA: dict[str, Any] = {
    "effect": "hold",
    "rule": "contractors",
    "policy": DIGEST,
    "rules": ["contractors"],
    "shadow": ["long"],
    "errors": ["claims"],
    "findings": {"EMAIL_ADDRESS": 1},
}
RECORDED = Recorded(
    1.8e9, DATA, json.loads(caller_payload(PEOPLE["alice"])), "POST", "/v1/chat/completions", BODY
)


def test_every_rule_is_told_with_what_it_said_and_what_it_read() -> None:
    explained = explain(RECORDED, CONFIG.encode())
    assert (explained.effect, explained.rule, explained.now) == (
        "hold",
        "contractors",
        "hold by rule contractors",
    )
    rules = {rule.name: rule for rule in explained.rules}
    assert {name: (rule.outcome, rule.now.partition(":")[0]) for name, rule in rules.items()} == {
        "contractors": ("matched", "matched"),
        "no-keys": ("no match", "no match"),
        "long": ("shadow", "shadow"),
        "claims": ("failed", "failed"),
    }
    assert rules["contractors"].values == {"caller.groups": '["contractors"]'}
    assert rules["no-keys"].values == {"findings.PRIVATE_KEY.count": "0"}
    assert rules["long"].values == {"request.user_text": "13 characters"}
    assert rules["claims"].values == {"caller.claims": "not on record"}
    assert any("claims of tokens" in note for note in explained.notes)
    assert not any("differs" in note for note in explained.notes)
    assert "Good morning" not in json.dumps(explained.as_json())


def test_an_outcome_that_differs_now_is_said() -> None:
    other = replace(RECORDED, data={**DATA, "effect": "deny", "rule": "no-keys", "rules": ["no-keys"]})
    explained = explain(other, CONFIG.encode())
    assert (explained.effect, explained.now) == ("deny", "hold by rule contractors")
    assert any("differs" in note for note in explained.notes)
    assert any("(computed again: matched)" in line for line in explained.lines())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"body": None}, "the request is not on record"),
        ({"caller": None}, "who asked is not on record"),
        ({"body": b"{broken"}, "cannot be read again"),
        ({"path": "/elsewhere"}, "cannot be read again: unknown_path"),
    ],
)
def test_what_is_not_on_record_any_more_is_said_and_the_record_stands(
    change: dict[str, Any], said: str
) -> None:
    explained = explain(replace(RECORDED, **change), CONFIG.encode())
    assert any(said in note for note in explained.notes)
    assert (explained.now, explained.effect) == ("", "hold")
    assert [rule.outcome for rule in explained.rules] == ["matched", "no match", "shadow", "failed"]


@pytest.mark.parametrize("file", [None, b"version: 99", b"\xff"])
def test_without_the_policy_the_rules_that_are_on_record_are_named(file: bytes | None) -> None:
    explained = explain(RECORDED, file)
    assert [(rule.name, rule.outcome) for rule in explained.rules] == [
        ("contractors", "matched"),
        ("long", "shadow"),
        ("claims", "failed"),
    ]
    assert len(explained.notes) == 1


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Review]:
    thread = LoopThread()
    folder = tmp_path / "run"
    folder.mkdir()
    try:
        with running(thread, folder) as review:
            review.store.past = {"ses_1": make_session("ses_1"), "ses_2": make_session("ses_2")}
            review.store.recorded = [
                EntryDraft(
                    Kind.POLICY_ACTIVATED, data={"policy": DIGEST}, payloads={"file": CONFIG.encode()}
                ),
                EntryDraft(Kind.REQUEST_RECEIVED, "ses_1", {}, {"caller": caller_payload(PEOPLE["alice"])}),
                EntryDraft(Kind.REQUEST_DECIDED, "ses_1", DATA),
                EntryDraft(Kind.HOLD_OPENED, "ses_1", {}, {"forward": BODY}),
            ]
            yield review
    finally:
        thread.close()


def explained(review: Review, *words: str, person: str = "ada") -> Result:
    environment = {"AUTHZ_SERVER": review.address, "AUTHZ_TOKEN": f"token-{person}", "TZ": "UTC"}
    return CliRunner().invoke(cli, ["policy", "explain", *words], env=environment)


def test_the_command_asks_the_server_and_the_reading_is_on_record(review: Review) -> None:
    shown = explained(review, "ses_1")
    assert "hold by rule contractors" in shown.stdout, shown.output
    assert 'caller.groups = ["contractors"]' in shown.stdout
    assert review.store.recorded[-1].kind is Kind.SESSION_READ
    (decision,) = json.loads(explained(review, "ses_1", "--json").stdout)
    assert [rule["outcome"] for rule in decision["rules"]] == ["matched", "no match", "shadow", "failed"]


def test_a_session_without_a_decision_and_a_person_without_the_role_are_refused(review: Review) -> None:
    assert explained(review, "ses_2").exit_code == 3
    assert explained(review, "ses_1", person="rita").exit_code == 5


ANSWERS = """\
answers:
  default: allow
  rules:
    - {name: leaks, when: "answer.findings.JWT.count > findings.JWT.count", effect: deny}
    - {name: staff, when: "'staff' in caller.groups", effect: deny}
"""


def test_decisions_about_the_answer_are_computed_again_by_its_own_rules() -> None:
    config = CONFIG + ANSWERS
    digest = read_config(config, source=Path("authz.yaml"), surroundings=surroundings()).digest
    data = {"effect": "deny", "rule": "leaks", "policy": digest, "rules": ["leaks"], "findings": {"JWT": 2}}
    recorded = replace(RECORDED, data=data, asked={"JWT": 1})
    explained = explain(recorded, config.encode())
    assert (explained.about, explained.now) == ("answer", "deny by rule leaks")
    assert [(rule.name, rule.outcome, rule.now) for rule in explained.rules] == [
        ("leaks", "matched", "matched"),
        ("staff", "no match", "no match"),
    ]
    assert explained.rules[0].values == {"answer.findings.JWT.count": "2", "findings.JWT.count": "1"}
    assert next(explained.lines()).startswith("the answer: deny by rule leaks")
    other = explain(replace(recorded, asked={"JWT": 2}), config.encode())
    assert other.now == "allow by rule default"
    assert any("that differs" in note for note in other.notes)


def test_the_command_explains_the_answer_after_the_request(review: Review) -> None:
    data = {**DATA, "effect": "allow", "rule": "default", "rules": [], "shadow": [], "errors": []}
    review.store.recorded.append(EntryDraft(Kind.ANSWER_DECIDED, "ses_1", {**data, "findings": {"JWT": 2}}))
    shown = json.loads(explained(review, "ses_1", "--json").stdout)
    assert [(each["about"], each["now"]) for each in shown] == [
        ("request", "hold by rule contractors"),
        ("answer", "allow by rule default"),
    ]
