"""What a reviewer may make of a request, and what the record says of it."""

from __future__ import annotations

import json
from functools import partial

import pytest

from authz_service.errors import Unreadable
from authz_service.inspection.edited import differences, edited_request
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat

SCANNER = build_scanner()
BEFORE = b'{ "model":"llama",  "messages":[{"role":"user","content":"Write [EMAIL_ADDRESS] now"}], "n": 1 }'


def inspect(body: bytes) -> RequestInspection:
    return inspect_request(
        body,
        api=OpenAiChat(),
        operation=CHAT_COMPLETIONS,
        scanner=SCANNER,
        masked_entities=frozenset({"EMAIL_ADDRESS"}),
        models={"llama": "llama", "other": "other"},
        noise=(),
        max_depth=64,
    )


edited = partial(edited_request, BEFORE, inspect=inspect, entities=SCANNER.entities)


def test_what_is_untouched_keeps_its_bytes_and_what_is_written_is_masked() -> None:
    after = json.loads(BEFORE)
    after["messages"][0]["content"] = "Write [EMAIL_ADDRESS] later"
    after["messages"].append({"role": "user", "content": "and to bob@example.com"})
    made = edited(json.dumps(after, indent=3).encode())
    new = b',{"role":"user","content":"and to [EMAIL_ADDRESS]"}'
    old = b'{"role":"user","content":"Write [EMAIL_ADDRESS] later"}'
    assert made.forward == BEFORE.replace(b"now", b"later").replace(old, old + new)
    assert made.findings == {}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"[EMAIL_ADDRESS]", b"Bob", "edit_masked"),
        (b"[EMAIL_ADDRESS]", b"[EMAIL_ADRESS]", "edit_masked"),
        (b"now", b"[EMAIL_ADDRESS]", "edit_masked"),
        (b'"llama"', b'"other"', "edit_changes_call"),
        (b'"n": 1', b'"n": 2', "edit_changes_call"),
        (b'"n": 1', b'"stream": true', "edit_changes_call"),
        (b'"n": 1', b'"n": 1, "n": 1', "duplicate_key"),
        (b'"llama"', b'"unheard of"', "model_not_found"),
        (b"now", b"now", "nothing_edited"),
    ],
)
def test_what_must_not_be_edited_is_refused(old: bytes, new: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as refused:
        edited(BEFORE.replace(old, new))
    assert refused.value.code == code


def test_the_record_says_where_what_became_what() -> None:
    changes = json.loads(differences(b'{"a":[1,{"b":"x"}],"c":1}', b'{"a":[1,{"b":"y"},2],"d":true}'))
    assert changes == [
        {"path": ["a", 1, "b"], "before": "x", "after": "y"},
        {"path": ["a", 2], "after": 2},
        {"path": ["c"], "before": 1},
        {"path": ["d"], "after": True},
    ]
    assert json.loads(differences(b'{"a":null}', b'{"b":null}')) == [
        {"path": ["a"], "before": None},
        {"path": ["b"], "after": None},
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"123456789012345678901", b"123456789012345678902"),
        (b"0.12345678901234567890", b"0.12345678901234567891"),
        (b"1", b"1.0"),
        (b"1", b"true"),
        (b"0", b'"0"'),
        (b'{"a":1,"b":[2e400]}', b'{"b":[2e400],"a":1}'),
        (b'{"a":1,"b":2,"c":3}', b'{"c":3,"a":1,"d":4}'),
    ],
)
def test_what_goes_to_the_model_otherwise_is_told_as_it_is_written(before: bytes, after: bytes) -> None:
    """Numbers beyond a double, and the order of members, too."""
    told = differences(b'{"n":0,"x":[%b]}' % before, b'{"n":0,"x":[%b]}' % after)
    assert told == b'[{"path":["x",0],"before":%b,"after":%b}]' % (before, after)


def test_members_that_keep_their_order_are_told_one_by_one() -> None:
    told = differences(b'{"a":1,"b":{"c":2},"d":3}', b'{"z":0,"a":1,"b":{"c":4},"e":5}')
    assert [change["path"] for change in json.loads(told)] == [["b", "c"], ["d"], ["z"], ["e"]]
