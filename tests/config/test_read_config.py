"""A file is read whole: what is good becomes values, what is wrong is told with its line, all at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from authz_service.config.faults import BadConfiguration
from authz_service.config.model import (
    Credential,
    EntraDirectory,
    GoogleDirectory,
    Holds,
    Limits,
    Listen,
    Lookup,
    ServiceAccounts,
    Tls,
)
from authz_service.config.read import Loaded, Surroundings, read_config
from authz_service.config.starter import starter_text
from authz_service.core.business_hours import Hours
from authz_service.core.holds import Escalation, Stage
from authz_service.errors import Misconfigured

Faults = Callable[[str], list[tuple[int, int, str]]]
Load = Callable[[str], Loaded]

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


STAGE = "approvals: {{a: {{stages: [{{reviewers: 'true', within: 1m, {}}}]}}}}"


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


def test_three_mistakes_are_three_lines_each_with_its_place(refusal: Any, smallest: str) -> None:
    error = refusal(
        smallest
        + """\
requests:
  rules:
    - {name: staff, when: "'staff' in caller.grops", effect: allow}
    - {name: contractors, when: "true", effect: hld}
holds: {wait: soon}
"""
    )
    assert isinstance(error, Misconfigured)
    lines = str(error).splitlines()
    assert lines == [
        "authz.yaml:5:45: requests.rules[0].when: unknown field 'grops'; did you mean 'groups'?",
        "    'staff' in caller.grops",
        "                     ^",
        "authz.yaml:6:49: requests.rules[1].effect: must be allow or hold or deny, found 'hld'",
        "authz.yaml:7:15: holds.wait: must be a time such as 30s, 5m, 2h or 1d, found 'soon'",
    ]


RULE = """\
version: 1
models: [{name: m, url: "http://h"}]
requests:
  rules:
    - name: a
      effect: deny
      when: """


@pytest.mark.parametrize(
    "value",
    [
        "caller.x == 'a'",
        "\"caller.x == 'a'\"",
        "|\n        true &&\n          caller.x == 'a'\n",
        ">\n        caller.x == 'a'\n",
        "true && caller.x == 'a'  # caller.x",
    ],
)
def test_a_condition_is_pointed_into_where_the_file_has_its_text(faults: Faults, value: str) -> None:
    text = RULE + value
    before = text[: text.index(".x")]
    ((line, column, _),) = faults(text)
    assert (line, column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))


@pytest.mark.parametrize(
    "value", [">\n        true &&\n        caller.x == 'a'\n", "\"caller\\u002ex == 'a'\""]
)
def test_a_condition_that_yaml_rewrote_is_pointed_at_by_its_start(faults: Faults, value: str) -> None:
    assert [(line, column) for line, column, _ in faults(RULE + value)] == [(7, 13)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{top}", ""),
        ("listen: {top}", "listen"),
        ("listen: {address: '127.0.0.1:1', tls: {cert: c, key: k, top}}", "listen.tls"),
        ("requests: {top}", "requests"),
        ("requests: {rules: [{name: a, when: 'true', effect: deny, top}]}", "requests.rules[0]"),
        ("answers: {top}", "answers"),
        ("answers: {rules: [{name: a, when: 'true', effect: deny, top}]}", "answers.rules[0]"),
        ("paths: [{method: GET, path: /x, when: 'true', top}]", "paths[0]"),
        ("masks: [{name: a, in: [answers], entities: [US_SSN], top}]", "masks[0]"),
        ("detectors: [{name: A, pattern: x, top}]", "detectors[0]"),
        ("holds: {top}", "holds"),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 1m}], top}}", "approvals.a"),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 1m, top}]}}", "approvals.a.stages[0]"),
        ("limits: {top}", "limits"),
        ("store: {top}", "store"),
        ("review: {top}", "review"),
        ("identity: {top}", "identity"),
        (
            "identity: {issuers: [{url: 'https://i', audience: a, algorithms: [RS256], jwks: k, top}]}",
            "identity.issuers[0]",
        ),
    ],
)
def test_a_key_that_nobody_honours_is_refused_at_every_level(
    faults: Faults, smallest: str, text: str, name: str
) -> None:
    if not name:
        text = "top"
    found = faults(smallest + text.replace("top", "surprise: 1"))
    ((line, column, message),) = [
        fault for fault in found if "issuer" not in fault[2] or name.startswith("id")
    ]
    assert (line, column) == (3, text.index("top") + 1)
    assert message.startswith(f"{name}: unknown key 'surprise'" if name else "unknown key 'surprise'")


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("record: {keep: {originals: 91d}}", 28, "kept longer than payloads"),
        ("record: {keep: {originals: -1d}}", 28, "must be a time"),
        ("record: {keep: {entries: 30d}}", 26, "kept longer than the entries"),
        ("record: {keep: {payloads: 500d}}", 27, "kept longer than the entries"),
        ("record: {keep: {payloads: 5h}}", 27, "from 1d"),
        ("record: {keys: {url: 'postgresql://u:p@h/d'}}", 22, "must not have the password"),
        ("record: {keys: {master: {file: a, environment: B}}}", 48, "not both"),
        ("answers: {rules: [{name: a, when: 'true', effect: hold}]}", 19, "names its approval"),
        (
            "answers: {rules: [{name: a, when: 'true', effect: deny, whole: true}]}",
            57,
            "whole is not supported",
        ),
        (
            "approvals: {a: {stages: [{reviewers: 'true', within: 1m, on_timeout: escalate}]}}",
            70,
            "name who votes then",
        ),
        (
            STAGE.format("escalate: {reviewers: 'true', within: 1m}"),
            68,
            "only with on_timeout: escalate",
        ),
        (
            STAGE.format("on_timeout: escalate, escalate: {within: 1m}"),
            90,
            "reviewers is missing",
        ),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 1m, remind: 1m}]}}", 66, "less than within"),
        (
            (
                "approvals: {a: {stages: [{reviewers: 'true', within: 5m, remind: 1m, "
                "on_timeout: escalate, escalate: {reviewers: 'true', within: 1m}}]}}"
            ),
            66,
            "less than within of escalate",
        ),
        ("approvals: {a: {stages: [{reviewers: 'now == now', within: 1m}]}}", 39, "now"),
        (
            "approvals: {a: {stages: [{reviewers: 'true', within: 1m, hours: {zone: Mars}}]}}",
            72,
            "no time zone",
        ),
        ("review: {break_glass: 'caller.subject'}", 30, "undeclared"),
        ("masks: [{name: a, in: [answers], entities: [US_SSN], with: pseudonym}]", 60, "must be type or"),
        ("masks: [{name: a, in: [answers], entities: [US_SN]}]", 45, "did you mean US_SSN?"),
        ("masks: [{name: a, in: [], entities: [US_SSN]}]", 23, "must not be empty"),
        ("masks: [{name: a, in: [answers], entities: []}]", 44, "must not be empty"),
        ("approvals: {a: {stages: []}}", 25, "must not be empty"),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 1m, votes: 0}]}}", 65, "from 1 to 100"),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 1m, votes: '2'}]}}", 65, "whole number"),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 1m, votes: true}]}}", 65, "whole number"),
        ("approvals: {a: {stages: [{reviewers: 'true'}]}}", 26, "within is missing"),
        ("approvals: {a: {stages: [{reviewers: 'true', within: 0s}]}}", 54, "from 1s to 30d"),
        ("requests: {default: hold}", 21, "must be allow or deny"),
        ("requests: {rules: [{name: default, when: 'true', effect: deny}]}", 27, "another name"),
        ("requests: {rules: [{name: a, when: true, effect: deny}]}", 36, "put it in quotes"),
        ("requests: {rules: [{name: a, when: '1', effect: deny}]}", 37, "true or false"),
        ("requests: {rules: [{name: a, when: 'true', effect: hold}]}", 20, "names its approval"),
        (
            "requests: {rules: [{name: a, when: 'true', effect: hold, approval: b}]}",
            68,
            "no approval called 'b'",
        ),
        ("requests: {rules: [{name: a, when: 'true', effect: deny, approval: b}]}", 68, "hold only"),
        ("requests: {rules: [{when: 'true', effect: deny}]}", 20, "name is missing"),
        ("requests: {rules: [{name: a, effect: deny}]}", 20, "when is missing"),
        ("requests: {rules: [{name: a, when: 'true'}]}", 20, "effect is missing"),
        ("requests: {rules: {name: a}}", 19, "must be a list"),
        ("requests: []", 11, "must be a mapping"),
        ("requests:", 10, "found nothing"),
        ("detectors: [{name: US_SSN, pattern: x}]", 20, "already"),
        ("detectors: [{name: a b, pattern: x}]", 20, "entity type in capitals"),
        ("detectors: [{name: A, pattern: 'x('}]", 32, "at character"),
        ("detectors: [{name: A, pattern: 'x*'}]", 32, "at character"),
        ("holds: {noise: [/messages/0/content]}", 17, "can be noise"),
        ("holds: {noise: [metadata]}", 17, "must be a path"),
        ("holds: {wait: 180}", 15, "must be a time"),
        ("holds: {wait: 400d}", 15, "from 1s to 1d"),
        ("holds: {pending_per_caller: 0}", 29, "from 1 to"),
        ("holds: {release_rate: 0}", 23, "from 1 to"),
        ("limits: {body: 8MB}", 16, "must be a size"),
        ("limits: {depth: 5000}", 17, "from 4 to"),
        ("listen: {address: '0.0.0.0:80'}", 19, "tls is needed"),
        ("listen: {address: 'gateway:80'}", 19, "tls is needed"),
        ("listen: {address: '[::]:80'}", 19, "tls is needed"),
        ("listen: {address: '127.0.0.1'}", 19, "must be host:port"),
        ("listen: {address: '127.0.0.999:80'}", 19, "must be host:port"),
        ("listen: {address: '127.0.0.1:99999'}", 19, "must be host:port"),
        ("store: {url: 'sqlite:///:memory:'}", 14, "plain file"),
        ("store: {url: 'sqlite://'}", 14, "must be sqlite"),
        ("store: {url: 'sqlite:///x.db?mode=memory'}", 14, "plain file"),
        ("store: {url: 'postgresql:///x'}", 14, "needs a host"),
        ("store: {url: 'mysql://x'}", 14, "must be sqlite"),
        ("store: {url: 'postgresql://me:word@db/x'}", 14, "must not have the password"),
        ("store: {url: 'postgresql://me@db/x?password=word'}", 14, "must not have the password"),
        ("store: {url: 'postgresql://[db/x'}", 14, "can be read"),
        ("paths: [{method: FETCH, path: /x, when: 'true'}]", 18, "must be GET or"),
        ("paths: [{method: POST, path: /v1/chat/completions, when: 'true'}]", 30, "cannot pass unread"),
        ("paths: [{method: POST, path: /v1/Chat/completions/, when: 'true'}]", 30, "cannot pass unread"),
        ("paths: [{method: GET, path: /.well-known/authz/holds/x, when: 'true'}]", 29, "cannot pass unread"),
        ("paths: [{method: GET, path: /v1/responses/resp_1, when: 'true'}]", 29, "cannot pass unread"),
        ("paths: [{method: POST, path: /v1/Responses/compact, when: 'true'}]", 30, "cannot pass unread"),
        ("paths: [{method: GET, path: /responses/resp_1, when: 'true'}]", 29, "cannot pass unread"),
        ("paths: [{method: DELETE, path: /v1/conversations/c, when: 'true'}]", 32, "cannot pass unread"),
        ("paths: [{method: GET, path: /slots, when: 'true'}]", 29, "cannot pass unread"),
        ("paths: [{method: GET, path: '/a/../b', when: 'true'}]", 29, "exact path"),
        ("paths: [{method: GET, path: '/a%2fb', when: 'true'}]", 29, "exact path"),
        ("paths: [{method: GET, path: '/a?x=1', when: 'true'}]", 29, "exact path"),
        ("paths: [{method: GET, path: /x, when: 'true', model: gpt}]", 54, "no model called"),
        ("version: 1", 1, "stands here twice"),
        ("requests: {default: deny, default: allow}", 27, "stands here twice"),
        ("holds: &x {wait: 3m}", 8, "anchors"),
        ("holds: !!python/object:os.system {}", 8, "tags"),
        ("identity: {embedded: false}", 22, "no issuer is left"),
        ("identity: {embedded: no}", 22, "must be true or false"),
        ("identity: {embedded_votes: true, embedded: false}", 28, "means nothing"),
        ("? [a]\n: 1", 3, "a key must be text"),
        ("%YAML 1.1", 1, "directives"),
        ("holds: [", 9, "not YAML"),
    ],
)
def test_each_fault_is_named_where_it_stands(
    faults: Faults, smallest: str, text: str, column: int, message: str
) -> None:
    found = faults(smallest + text)
    assert any((line, at) == (3, column) and message in words for line, at, words in found), found


ISSUER = "{url: 'https://i.example', audience: gw, algorithms: [RS256], jwks: keys.json}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'https://i.example'", "'ldap://i'", "http:// or https://"),
        ("'https://i.example'", "'https://a:b@i.example'", "without user and password"),
        ("[RS256]", "[HS256]", "must not be able to sign"),
        ("[RS256]", "[none]", "must not be able to sign"),
        ("[RS256]", "[]", "must not be empty"),
        ("[RS256]", "[RS256, RS256]", "twice"),
        ("jwks: keys.json", "jwks: 'http://i.example/keys'", "must come over https"),
        ("jwks: keys.json", "jwks: keys.json, stale_keys: 8d", "from 5m to 7d"),
        ("jwks: keys.json", "groups_cut: -1", "from 0 to 10000"),
        ("jwks: keys.json", "unverified_email: true", "person: email"),
        ("audience: gw", "audience: authz-review", "tokens have one use"),
        ("jwks: keys.json", "jwks: keys.json, max_lifetime: 90d", "from 1m to 30d"),
        ("jwks: keys.json", "service_accounts: {with: [x], without: [y]}", "name either"),
        ("jwks: keys.json", "service_accounts: {value: app}", "means nothing without with"),
        ("jwks: keys.json", "service_accounts: {with: client_id}", "must be a list"),
        ("jwks: keys.json", "service_accounts: {claim: [x]}", "unknown key"),
    ],
)
def test_an_issuer_that_could_be_impersonated_is_refused(
    faults: Faults, smallest: str, old: str, new: str, message: str
) -> None:
    issuer = ISSUER.replace(old, new)
    found = faults(f"{smallest}identity: {{issuers: [{issuer}]}}")
    assert any(message in words for _, _, words in found), found
    assert not any("a:b" in words for _, _, words in found)


def test_an_issuer_without_a_key_set_is_asked_for_it_where_nobody_can_answer_in_its_place(
    faults: Faults, load: Load, smallest: str
) -> None:
    bare = ISSUER.replace(", jwks: keys.json", "")
    (issuer,) = load(f"{smallest}identity: {{issuers: [{bare}]}}").config.identity.issuers
    assert (issuer.jwks, issuer.stale_keys, issuer.groups_cut) == ("", 86_400.0, 100)
    found = faults(f"{smallest}identity: {{issuers: [{bare.replace('https:', 'http:')}]}}")
    assert any("must come over https" in words for _, _, words in found), found
    load(f"{smallest}identity: {{issuers: [{bare.replace('https://i.example', 'http://127.0.0.1:8080')}]}}")


def test_service_accounts_are_told_by_the_usual_signs_unless_an_issuer_has_its_own(
    load: Load, smallest: str
) -> None:
    def services(more: str) -> ServiceAccounts:
        text = ISSUER.replace("jwks: keys.json", f"jwks: keys.json{more}")
        return load(f"{smallest}identity: {{issuers: [{text}]}}").config.identity.issuers[0].services

    assert services("") == ServiceAccounts((), None, (), ("scope",))
    entra = ", service_accounts: {with: [idtyp], value: app, scopes: [roles]}"
    assert services(entra) == ServiceAccounts(("idtyp",), "app", (), ("roles",))
    okta = ", service_accounts: {without: [uid], scopes: [scp]}"
    assert services(okta) == ServiceAccounts((), None, ("uid",), ("scp",))


ENTRA = "{directory: entra, tenant: corp.example, client: app-1, secret: graph.secret}"
GOOGLE = "{directory: google, key: google.json, admin: admin@corp.example}"


def test_a_lookup_of_groups_arrives_with_its_defaults(load: Load, smallest: str) -> None:
    def lookup(text: str) -> Lookup | None:
        issuer = ISSUER.replace("jwks", f"lookup: {text}, jwks")
        return load(f"{smallest}identity: {{issuers: [{issuer}]}}").config.identity.issuers[0].lookup

    base = Path("/etc/authz")
    entra = EntraDirectory("corp.example", "app-1", base / "graph.secret")
    assert lookup(ENTRA) == Lookup(entra, "oid", 300.0, 3600.0)
    google = GoogleDirectory(base / "google.json", "admin@corp.example")
    assert lookup(GOOGLE) == Lookup(google, "sub")
    more = ENTRA.replace(
        "}", ", member: upn, fresh: 1m, stale: 0s, login: 'https://l.us', api: 'https://g.us/'}"
    )
    national = EntraDirectory("corp.example", "app-1", base / "graph.secret", "https://l.us", "https://g.us")
    assert lookup(more) == Lookup(national, "upn", 60.0, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRA.replace("entra", "okta"), "must be entra or google"),
        (ENTRA.replace("tenant: corp.example, ", ""), "tenant is missing"),
        (ENTRA.replace("corp.example", "'a/../b'"), "an id or a domain's name"),
        (ENTRA.replace("}", ", api: 'http://graph.example'}"), "our secret"),
        (ENTRA.replace("}", ", api: 'https://graph.example/v1'}"), "without a path"),
        (ENTRA.replace("}", ", key: x}"), "unknown key 'key'"),
        (ENTRA.replace("}", ", fresh: 1s}"), "from 10s to 1h"),
        (GOOGLE.replace(", admin: admin@corp.example", ""), "admin is missing"),
        ("{}", "directory is missing"),
    ],
)
def test_a_lookup_that_could_not_work_or_would_tell_our_secret_is_refused(
    faults: Faults, smallest: str, text: str, message: str
) -> None:
    issuer = ISSUER.replace("jwks", f"lookup: {text}, jwks")
    found = faults(f"{smallest}identity: {{issuers: [{issuer}]}}")
    assert any(message in words for _, _, words in found), found


def test_the_embedded_issuer_beside_others_needs_the_operators_word(
    faults: Faults, load: Load, smallest: str
) -> None:
    both = f"{smallest}identity: {{embedded: true, issuers: [{ISSUER}]}}"
    assert [words for _, _, words in faults(both) if "embedded_votes" in words]
    named = "review: {reviewers: \"person.issuer == 'x' && 'r' in person.groups\", auditors: \"false\"}"
    allowed = both.replace("embedded: true", "embedded: true, embedded_votes: true")
    assert load(f"{allowed}\n{named}").config.identity.embedded_votes


def test_with_two_issuers_a_group_without_its_issuer_is_refused(faults: Faults, smallest: str) -> None:
    two = f"[{ISSUER}, {ISSUER.replace('i.example', 'j.example')}]"
    rule = """{name: a, effect: allow, when: "'s' in caller.groups"}"""
    text = f"{smallest}identity: {{issuers: {two}}}\nrequests: {{rules: [{rule}]}}"
    found = [words for _, _, words in faults(text)]
    for name in ("review.reviewers", "review.auditors", "requests.rules[0].when"):
        assert any(words.startswith(name) and "issuer" in words for words in found)


def test_no_name_or_alias_stands_for_two_models(faults: Faults) -> None:
    text = (
        "version: 1\nmodels:\n"
        "  - {name: a, aliases: [b], url: 'http://h'}\n"
        "  - {name: b, aliases: [a], url: 'http://h'}\n"
    )
    assert [(line, words.split(":")[0]) for line, _, words in faults(text)] == [
        (4, "models[1].name"),
        (4, "models[1].aliases"),
    ]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://h", "http:// or https://"),
        ("http://", "with a host"),
        ("http://h ost", "with a host"),
        ("http://bücher.example", "with a host"),
        ("http://h:99999", "valid host and port"),
        ("http://user:hunter2@h", "without user and password"),
        ("http://h/v1", "not supported yet"),
        ("http://h?x", "without query"),
    ],
)
def test_a_models_url_is_checked_and_its_password_not_repeated(
    faults: Faults, url: str, message: str
) -> None:
    ((_, _, words),) = faults(f"version: 1\nmodels: [{{name: a, url: '{url}'}}]")
    assert message in words
    assert "hunter2" not in words


@pytest.mark.parametrize("header", ["host", "Content-Length", "x-authz-model", "bad header", "x:y"])
def test_a_credential_cannot_take_a_header_that_is_the_gateways(faults: Faults, header: str) -> None:
    text = f"version: 1\nmodels: [{{name: a, url: 'http://h', credential: {{file: k, header: '{header}'}}}}]"
    assert len(faults(text)) == 1


def test_a_prefix_cannot_smuggle_a_header(faults: Faults) -> None:
    text = 'version: 1\nmodels: [{name: a, url: "http://h", credential: {file: k, prefix: "a\\r\\nb: c"}}]'
    assert "printed" in faults(text)[0][2]


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "5", "[]", "a: b: c", "\x07", "- &a [*a, *a]", "--- {}\n--- {}"]
)
def test_what_is_no_configuration_at_all_is_one_clear_fault(faults: Faults, text: str) -> None:
    assert faults(text)[0][2]


def test_names_of_sections_that_were_misspelt_get_a_hint(faults: Faults, smallest: str) -> None:
    assert faults(smallest + "request: {}")[0][2] == "unknown key 'request'; did you mean 'requests'?"


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
