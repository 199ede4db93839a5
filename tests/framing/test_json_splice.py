"""Edited documents keep the bytes of what nobody touched."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.framing.json_splice import splice_json

BEFORE = (
    b'{ "model" : "llama", "messages":[ {"role":"user","content":"a\\u00e9\\/b"} , 1.50, true ], "n": 1e2}\n'
)


GROWN = (
    b'{ "model" : "llama", "messages":[{"role":"user","content":"a\\u00e9\\/b"},{"new":[1,2]},1.50,true], '
    b'"n": 1e2}\n'
)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (b"\n".join(BEFORE.split(b" ")), BEFORE),
        (BEFORE.replace(b"a\\u00e9\\/b", b"x"), BEFORE.replace(b"a\\u00e9\\/b", b"x")),
        (BEFORE.replace(b"} , 1.50", b'},{"new": [1, 2]},1.50'), GROWN),
        (b'{"model":"llama","n":1e2}', b'{"model":"llama","n":1e2}\n'),
        (b'{"n":5,"model":"llama"}', b'{"n":5,"model":"llama"}\n'),
        (b"[]", b"[]\n"),
    ],
)
def test_only_what_was_edited_is_another(after: bytes, expected: bytes) -> None:
    assert splice_json(BEFORE, after) == expected


@pytest.mark.parametrize("after", [b"1", b"1.0", b"true", b'"1"', b"[1]", b"null"])
def test_values_that_only_some_readers_tell_apart_are_not_the_same(after: bytes) -> None:
    assert splice_json(b'{"a":1}', b'{"a":' + after + b"}") == b'{"a":' + after + b"}"


TEXT = st.text(alphabet='ab"\\{}[],:é ', max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXT,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(TEXT, below, max_size=4),
    max_leaves=12,
)


@given(before=JSON, after=JSON, indents=st.tuples(*[st.sampled_from([None, 1, 3])] * 2))
def test_the_result_says_what_the_edited_document_says(
    before: object, after: object, indents: tuple[int | None, int | None]
) -> None:
    old = json.dumps(before, indent=indents[0]).encode()
    new = json.dumps(after, indent=indents[1], ensure_ascii=False).encode()
    spliced = splice_json(old, new)
    assert json.dumps(json.loads(spliced)) == json.dumps(after)
    if json.dumps(before) == json.dumps(after):
        assert spliced == old
