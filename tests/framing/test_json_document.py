"""A document is read as RFC 8259 says, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.framing.json_document import InexactFloat, read_json

Reference = Callable[[bytes, int], object]
DEPTH = 6

SCRAPS = [
    "{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "d83d", "\\ud83d", "\\ude00", '"a"', '"\\u0061"', '"b"',
    '"k":', '{"a":1,', '"a":2}', "0", "1", "-", ".5", "e1", "1e999", "1e400", "true", "null", "NaN",
    "Infinity", " ", "\n", "\x0b", "\ufeff", "\u00e9", "\u2028", "\x00", "\x1f", "\x7f", "9007199254740993",
    "[[[[[[[", "]]]]]]]",
]  # fmt: skip
scrappy = st.lists(st.sampled_from(SCRAPS), max_size=12).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def code_of(data: bytes, *, max_depth: int = DEPTH) -> str:
    with pytest.raises(Unreadable) as refused:
        read_json(data, max_depth=max_depth)
    return refused.value.code


def with_tokens(value: object) -> object:
    match value:
        case dict():
            return {k: with_tokens(v) for k, v in value.items()}
        case list():
            return [with_tokens(v) for v in value]
        case tuple():
            return Decimal(value[1])
        case InexactFloat():
            return Decimal(value.token)
        case bool() | str() | None:
            return value
        case int() | float():
            return Decimal(repr(value))
    raise AssertionError(value)


def agree(data: bytes, reference: Reference) -> None:
    try:
        expected = reference(data, DEPTH)
    except ValueError:
        code_of(data)
        return
    try:
        found = read_json(data, max_depth=DEPTH)
    except Unreadable as e:
        assert e.code == "number_range"  # noqa: PT017  the one thing that the grammar allows and we refuse
        return
    assert with_tokens(found) == with_tokens(expected)


@given(scrappy)
def test_scraps_of_json_are_read_as_the_reference_reads_them(reference: Reference, text: str) -> None:
    agree(text.encode(), reference)


@given(values, st.data())
def test_a_document_with_one_change_is_read_as_the_reference_reads_it(
    reference: Reference, value: object, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    at = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(at, min(len(text), at + 3)))
    agree((text[:at] + data.draw(st.sampled_from(["", *SCRAPS])) + text[end:]).encode(), reference)


@given(st.binary(max_size=12))
def test_bytes_are_read_as_the_reference_reads_them(reference: Reference, data: bytes) -> None:
    agree(b'"' + data + b'"', reference)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "invalid_json"),
        (b" ", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[1,]", "invalid_json"),
        (b"{'a':1}", "invalid_json"),
        (b"NaN", "invalid_json"),
        (b"[-Infinity]", "invalid_json"),
        (b'"\t"', "invalid_json"),
        (b"// no\n1", "invalid_json"),
        (b"1 2", "trailing_data"),
        (b"{}\x00", "trailing_data"),
        (b"01", "trailing_data"),
        (b"\xef\xbb\xbf1", "invalid_utf8"),
        (b'"\xff"', "invalid_utf8"),
        (b'"\xed\xa0\x80"', "invalid_utf8"),
        (b'"\xc0\xaf"', "invalid_utf8"),
        (b"\xff\xfe1\x00", "invalid_utf8"),
        (b'{"a":1,"a":1}', "duplicate_key"),
        (b'{"a":1,"\\u0061":1}', "duplicate_key"),
        (b'[{"x":{"":1,"":2}}]', "duplicate_key"),
        (b'"\\ud800"', "lone_surrogate"),
        (b'"\\ude00\\ud83d"', "lone_surrogate"),
        (b'{"\\uDFFF":1}', "lone_surrogate"),
        (b"[[[[[[[1]]]]]]]", "too_deep"),
        (b'{"a":[{"a":[{"a":[{}]}]}]}', "too_deep"),
        (b"1e999", "number_range"),
        (b"[-1e400]", "number_range"),
        (b"9" * 5000, "number_range"),
    ],
)
def test_each_fault_has_its_own_code(data: bytes, code: str) -> None:
    assert code_of(data) == code


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_without_end_is_refused_and_the_stack_holds(opening: bytes) -> None:
    assert code_of(opening * 100_000) in ("too_deep", "invalid_json")
    closing = {b"[": b"]", b'{"a":': b"}", b'[{"a":': b"}]"}[opening]
    assert code_of(opening * 100_000 + b"1" + closing * 100_000) == "too_deep"


def test_the_depth_limit_counts_containers_and_not_brackets() -> None:
    assert read_json(b"[" * 6 + b"]" * 6, max_depth=6) is not None
    assert read_json(b"[" + b"{}," * 50 + b'"[[[[[[[[["]', max_depth=2) is not None
    assert code_of(b"[[]]", max_depth=1) == "too_deep"


def test_a_refusal_says_where_and_never_what() -> None:
    with pytest.raises(Unreadable, match=r"character 24$") as refused:
        read_json(b'{"secret-key": "s3cr3t","secret-key": 1}', max_depth=DEPTH)
    assert "secret" not in str(refused.value)
    with pytest.raises(Unreadable, match=r"character 12$") as refused:
        read_json(b'["s3cr3t",1,"s3cr3t\\ud800"]', max_depth=DEPTH)
    assert "s3cr3t" not in str(refused.value)
    with pytest.raises(Unreadable, match=r"character 8$"):
        read_json(b'["[[", [[[[[[[1]]]]]]]]', max_depth=2)
    with pytest.raises(Unreadable, match="not JSON at character 2"):
        read_json(b'{ s3cr3t": 1}', max_depth=DEPTH)


def test_where_a_very_large_document_is_wrong_is_not_searched_for() -> None:
    with pytest.raises(Unreadable, match=r"twice$"):
        read_json(b'{"a":1,"a":"' + b"x" * 300_000 + b'"}', max_depth=DEPTH)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read_json(b'["\\ud83d\\ude00", "\\\\ud800"]', max_depth=DEPTH) == ["\U0001f600", "\\ud800"]


def test_numbers_that_no_double_holds_keep_what_they_say() -> None:
    document = read_json(b"[9007199254740993, 0.10000000000000000001, 0.1]", max_depth=DEPTH)
    assert isinstance(document, list)
    big, odd, plain = document
    assert big == 2**53 + 1
    assert isinstance(odd, InexactFloat)
    assert odd.token == "0.10000000000000000001"
    assert type(plain) is float


@pytest.mark.parametrize("token", ["1e-400", "1e-99999999999999999999", "0e99999999999999999999"])
def test_a_number_too_small_for_a_double_is_kept_as_its_token(token: str) -> None:
    value = read_json(token.encode(), max_depth=DEPTH)
    assert isinstance(value, InexactFloat)
    assert value.token == token


def test_a_fault_beyond_the_interpreters_stack_is_refused_whatever_follows() -> None:
    assert code_of(b"[" * 5000 + b'"\\x"' + b"]" * 9000, max_depth=8000) == "too_deep"
