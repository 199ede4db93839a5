"""A file is read whole: what is good becomes values, what is wrong is told with its line, all at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.config.config_texts import Faults, Load

from authz_service.config.faults import BadConfiguration
from authz_service.config.gateway_values import Credential, Listen, Tls
from authz_service.config.model import Holds, Limits
from authz_service.config.read import Surroundings, read_config
from authz_service.config.starter import starter_text
from authz_service.core.business_hours import Hours
from authz_service.core.holds import Escalation, Stage

WHOLE = r"""
version: 1
listen: {address: "0.0.0.0:8443", tls: {cert: tls/cert.pem, key: /run/key.pem}}
models:
  - {name: llama, aliases: [gpt-4o, "org/model:7b"], url: "http://127.0.0.1:8000/",
     credential: {file: llama.key}}
  - {name: qwen, url: "https://models.example:8443", credential: {file: /k, header: X-Api-Key, prefix: ""}}
identity:
  issuers:
    - {url: "https://login.example.com/realms/main", audience: llm-gateway, algorithms: [RS256, ES256],
       jwks: keys.json, stale_keys: 2h, groups: [realm_access, roles], groups_cut: 0,
       groups_without_slash: true, person: email, unverified_email: true, max_lifetime: 1h}
review: {audience: votes, reviewers: "'r' in person.groups", auditors: "person.person == 'root@corp.example'"}
requests:
  default: allow
  rules:
    - {name: staff, when: "'staff' in caller.groups", effect: allow, shadow: true}
    - {name: contractors, when: "'contractors' in caller.groups", effect: hold, approval: security}
    - {name: no-ids, when: "findings.EMPLOYEE_ID.count > 2", effect: deny, reason: "Too many people."}
answers:
  default: deny
  rules:
    - {name: fine, when: "answer.findings.EMPLOYEE_ID.count == 0", effect: allow}
paths:
  - {method: GET, path: /health, when: "true", model: qwen}
masks:
  - {name: personal-data, in: [requests, answers], entities: [EMAIL_ADDRESS, EMPLOYEE_ID], with: type}
  - {name: cards, in: [answers], entities: [CREDIT_CARD]}
detectors:
  - {name: EMPLOYEE_ID, pattern: 'E-\d{6}'}
holds: {wait: 90s, use_within: 1h, pending_per_caller: 3, noise: [/metadata/nonce, /metadata/a~1b], claim: 5m}
approvals:
  security:
    snapshot: true
    stages:
      - {reviewers: "'security' in person.groups", votes: 2, within: 30m, on_timeout: reject}
      - {reviewers: "'leads' in person.groups", within: 1d}
      - reviewers: "'leads' in person.groups && caller.subject != 'boss'"
        within: 8h
        on_timeout: escalate
        escalate: {reviewers: "request.model == 'llama'", within: 2h}
        remind: 10m
        service_accounts: true
        hours: {zone: Europe/Berlin, days: [mon-thu, sat], from: "09:00", to: "17:30"}
limits: {body: 2MiB, depth: 32}
store: {url: "postgresql://authz@db.example/authz"}
"""


def test_every_key_of_a_whole_file_arrives(load: Load) -> None:
    config = load(WHOLE).config
    base = Path("/etc/authz")
    assert config.listen == Listen("0.0.0.0", 8443, Tls(base / "tls/cert.pem", Path("/run/key.pem")))
    llama, qwen = config.models
    assert (llama.name, llama.aliases, llama.url) == (
        "llama",
        ("gpt-4o", "org/model:7b"),
        "http://127.0.0.1:8000",
    )
    assert llama.credential == Credential(base / "llama.key", "authorization", "Bearer ")
    assert qwen.credential == Credential(Path("/k"), "x-api-key", "")
    (issuer,) = config.identity.issuers
    assert (issuer.stale_keys, issuer.groups_cut) == (7200.0, 0)
    assert issuer.groups_without_slash
    assert issuer.unverified_email
    assert (config.identity.embedded, issuer.jwks, issuer.groups) == (
        False,
        "/etc/authz/keys.json",
        ("realm_access", "roles"),
    )
    assert (issuer.algorithms, issuer.person, issuer.max_lifetime) == (("RS256", "ES256"), "email", 3600.0)
    assert (config.review.audience, config.review.reviewers) == ("votes", "'r' in person.groups")
    assert [(mask.name, mask.in_requests, mask.in_answers) for mask in config.masks] == [
        ("personal-data", True, True),
        ("cards", False, True),
    ]
    assert config.detectors[0].pattern == r"E-\d{6}"
    assert (config.paths[0].path, config.paths[0].model) == ("/health", "qwen")
    assert config.holds == Holds(90.0, 3600.0, 3, (("metadata", "nonce"), ("metadata", "a/b")), 300.0)
    (approval,) = config.approvals
    assert approval.snapshot
    assert [(stage.votes, stage.within) for stage in approval.stages] == [
        (2, 1800.0),
        (1, 86_400.0),
        (1, 28_800.0),
    ]
    last = approval.stages[2]
    assert last.escalate == Escalation("request.model == 'llama'", 7200.0)
    assert (last.remind, last.service_accounts) == (600.0, True)
    assert last.hours == Hours("Europe/Berlin", (0, 1, 2, 3, 5), 32_400, 63_000)
    assert approval.stages[0] == Stage(approval.stages[0].reviewers, 2, 1800.0)
    assert config.limits == Limits(2 * 1024 * 1024, 32)
    assert config.store_url == "postgresql://authz@db.example/authz"


def test_what_is_left_out_has_the_safe_default(load: Load, smallest: str) -> None:
    loaded = load(smallest)
    assert loaded.config.listen == Listen()
    assert loaded.config.identity.embedded
    assert loaded.config.holds == Holds()
    assert loaded.policy.request_rules.default.name == "DENY"
    assert loaded.policy.answer_rules.default.name == "ALLOW"
    assert loaded.config.store_url == "sqlite:///authz.db"


def test_the_starter_file_is_good_and_shows_every_effect(load: Load) -> None:
    loaded = load(starter_text(model_url="http://127.0.0.1:8000", models=("demo", "org/other:1b")))
    assert {rule.effect.name for rule in loaded.policy.request_rules.rules} == {"ALLOW", "HOLD", "DENY"}
    assert [model.name for model in loaded.config.models] == ["demo", "org/other:1b"]
    (mask,) = loaded.config.masks
    assert mask.in_requests
    assert mask.in_answers


@pytest.mark.parametrize("value", ['x"', "x\\", "x\ny", "\x1b[2J"])
def test_nothing_breaks_out_of_the_starter_file(value: str) -> None:
    with pytest.raises(ValueError, match="starter"):
        starter_text(model_url=value)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "5", "[]", "a: b: c", "\x07", "- &a [*a, *a]", "--- {}\n--- {}"]
)
def test_what_is_no_configuration_at_all_is_one_clear_fault(faults: Faults, text: str) -> None:
    assert faults(text)[0][2]


def test_the_digest_changes_with_what_is_decided_and_with_nothing_else(load: Load) -> None:
    base = load(WHOLE).digest
    assert load(WHOLE.replace("wait: 90s", "wait: 91s")).digest == base
    assert load("# a comment\n" + WHOLE).digest == base
    for old, new in [
        ("count > 2", "count > 3"),
        ("default: allow", "default: deny"),
        ("shadow: true", "shadow: false"),
        ("Too many people.", "No."),
        ("[EMAIL_ADDRESS, EMPLOYEE_ID]", "[EMAIL_ADDRESS]"),
        (r"E-\d{6}", r"E-\d{7}"),
        ("votes: 2", "votes: 3"),
        ("within: 30m", "within: 31m"),
        ("path: /health", "path: /healthz"),
    ]:
        assert load(WHOLE.replace(old, new)).digest != base, new


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_file_is_good_or_refused_with_places_and_never_crashes(
    surroundings: Surroundings, data: st.DataObject
) -> None:
    lines = WHOLE.splitlines(keepends=True)
    index = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[index])))
    junk = data.draw(st.text("{}[]:,-'\"|>&*!%#@ \n\tabc01\u00e9\ud800", max_size=6))
    lines[index] = lines[index][:cut] + junk + lines[index][cut + data.draw(st.integers(0, 8)) :]
    text = "".join(lines)
    try:
        loaded = read_config(text, source=Path("authz.yaml"), surroundings=surroundings)
    except BadConfiguration as bad:
        faults = bad.faults
    else:
        assert re.fullmatch("[0-9a-f]{64}", loaded.digest)
        return
    assert faults
    assert all(1 <= fault.place.line <= text.count("\n") + 2 and fault.message for fault in faults)


def test_the_pace_of_releases_is_read(load: Load) -> None:
    assert load(WHOLE.replace("claim: 5m}", "claim: 5m, release_rate: 50}")).config.holds.release_rate == 50
