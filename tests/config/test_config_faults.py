"""Each fault of a configuration is named where it stands."""

from __future__ import annotations

from typing import Any

import pytest
from tests.config.config_texts import Faults

from authz_service.errors import Misconfigured

STAGE = "approvals: {{a: {{stages: [{{reviewers: 'true', within: 1m, {}}}]}}}}"


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
        ("review: {conceal: [{entities: [EMAIL_ADRESS]}]}", 32, "did you mean EMAIL_ADDRESS?"),
        ("review: {conceal: [{entities: []}]}", 31, "must not be empty"),
        ("review: {conceal: [{unless: 'true'}]}", 20, "entities is missing"),
        ("review: {conceal: [{entities: [US_SSN], unless: 'person.grops'}]}", 56, "grops"),
        ("review: {conceal: [{entities: [US_SSN], for: 'true'}]}", 41, "unknown key 'for'"),
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


def test_names_of_sections_that_were_misspelt_get_a_hint(faults: Faults, smallest: str) -> None:
    assert faults(smallest + "request: {}")[0][2] == "unknown key 'request'; did you mean 'requests'?"
