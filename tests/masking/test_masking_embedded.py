"""JSON documents in strings: found in what they say, replaced so that they stay JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.masking.replacing import merge, replace

from authz_service.errors import Unreadable
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Scanner

Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]
Cut = Callable[[str, list[int]], list[str]]

_SLOW = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _masked(scanner: Scanner, text: str) -> str:
    return replace(text, merge(scanner.scan(text, embedded_json=True), scanner.entities))


@given(data=st.data())
@_SLOW
def test_any_cut_of_a_document_gives_the_findings_of_the_whole(
    data: st.DataObject,
    documents: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    run: Run,
    pieces: Cut,
) -> None:
    text = data.draw(documents)
    found = run(everything.incremental(embedded_json=True), pieces(text, data.draw(cuts)))[0]
    assert found == everything.scan(text, embedded_json=True)


@given(data=st.data())
@_SLOW
def test_any_cut_of_what_is_no_document_gives_the_findings_of_the_whole(
    data: st.DataObject,
    documents: st.SearchStrategy[str],
    texts: st.SearchStrategy[str],
    cuts: st.SearchStrategy[list[int]],
    everything: Scanner,
    run: Run,
    pieces: Cut,
) -> None:
    text = data.draw(documents)
    at = data.draw(st.integers(0, len(text)))
    rest = text[at:] if data.draw(st.booleans()) else ""
    text = text[:at] + data.draw(st.one_of(texts, st.sampled_from(["", "\\", "}", '"']))) + rest
    try:
        whole = everything.scan(text, embedded_json=True)
    except Unreadable:
        return  # a surrogate pair was cut in two
    assert run(everything.incremental(embedded_json=True), pieces(text, data.draw(cuts)))[0] == whole


@given(data=st.data())
@_SLOW
def test_a_masked_document_is_a_document_of_the_same_shape_without_values(
    data: st.DataObject, documents: st.SearchStrategy[str], everything: Scanner
) -> None:
    text = data.draw(documents)
    before, after = _read(text), _read(_masked(everything, text))
    for was, now in zip(_leaves(before), _leaves(after), strict=True):
        plain = was if isinstance(was, str) else json.dumps(was)
        found = everything.scan(plain)
        if not found:
            assert now == was
        elif isinstance(was, str):
            assert now == replace(was, merge(found, everything.entities))
        else:
            assert now == f"[{found[0].entity}]"


def _leaves(value: Any) -> list[Any]:
    """Keys and values in order, from a document read with `_read`."""
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _read(text: str) -> Any:
    """Objects are lists of pairs: masking may make two keys the same."""
    return json.loads(text, object_pairs_hook=list)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"to": "j\u0061ne@example.com"}', '{"to": "[EMAIL_ADDRESS]"}'),
        (r'{"a": "\ud83d\ude00jane@example.com\n"}', r'{"a": "\ud83d\ude00[EMAIL_ADDRESS]\n"}'),
        ('{"jane@example.com": true}', '{"[EMAIL_ADDRESS]": true}'),
        ('{"card": 4111111111111111}', '{"card": "[CREDIT_CARD]"}'),
        ("[-4111111111111111 , 1]", '["[CREDIT_CARD]" , 1]'),
        ("4111111111111111", '"[CREDIT_CARD]"'),
        ('{"card": 4.111111111111111e15, "n": 1e999999999}', '{"card": "[CREDIT_CARD]", "n": 1e999999999}'),
        ("[411111111111111100E-02, 1e3]", '["[CREDIT_CARD]", 1e3]'),
        (
            r'{"body": "{\"to\": \"jane\u0040example.com\", \"url\": \"https:\\/\\/me:word@x\"}"}',
            r'{"body": "{\"to\": \"[EMAIL_ADDRESS]\", \"url\": \"https:\\/\\/[URL_CREDENTIALS]@x\"}"}',
        ),
        (" 4111111111111111 ", ' "[CREDIT_CARD]" '),
        ('"4111\\u00201111 1111 1111"', '"[CREDIT_CARD]"'),
        (r'["nAKIAIOSFODNN7EXAMPLE\nAKIAIOSFODNN7EXAMPLE"]', r'["n[AWS_ACCESS_KEY]\n[AWS_ACCESS_KEY]"]'),
        (
            r'{"k": "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"}',
            r'{"k": "[PRIVATE_KEY]\n"}',
        ),
        ('{"k": "-----BEGIN PRIVATE KEY-----", "z": 1}', '{"k": "[PRIVATE_KEY]", "z": 1}'),
    ],
)
def test_values_are_found_in_what_a_document_says(everything: Scanner, text: str, expected: str) -> None:
    assert _masked(everything, text) == expected
    json.loads(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111", "[CREDIT_CARD]"),
        ("[4111 1111 1111 1111]", "[[CREDIT_CARD]]"),
        ('{"card": 4111-1111-1111-1111}', '{"card": [CREDIT_CARD]}'),
        ('{"card": 4111-1111-1111-1111', '{"card": [CREDIT_CARD]'),
        ('{"card": 4111111111111111', '{"card": "[CREDIT_CARD]"'),
        ('{"a": "bad \\q jane@example.com"}', '{"a": "bad \\q [EMAIL_ADDRESS]"}'),
        ('{"a": "jane@example.com', '{"a": "[EMAIL_ADDRESS]'),
        ('{"a": "jane@example.com\\u00', '{"a": "[EMAIL_ADDRESS]\\u00'),
        ('{"a": 1} jane@example.com', '{"a": 1} [EMAIL_ADDRESS]'),
        ("mail jane@example.com", "mail [EMAIL_ADDRESS]"),
        ("null jane@example.com", "null [EMAIL_ADDRESS]"),
        ("{jane@example.com: 1}", "{[EMAIL_ADDRESS]: 1}"),
        ("", ""),
    ],
)
def test_what_is_no_document_is_masked_as_plain_text(everything: Scanner, text: str, expected: str) -> None:
    assert _masked(everything, text) == expected


def test_an_escape_is_never_cut_in_two(everything: Scanner) -> None:
    text = r'{"a": "x\u00e9\ud83d\ude00\n"}'
    stream = everything.incremental(embedded_json=True)
    boundaries = {stream.feed(char).settled for char in text}
    inside = {*range(9, 14), *range(15, 26), 27}
    assert not boundaries & inside


def test_half_a_surrogate_pair_is_refused(everything: Scanner) -> None:
    for text in (r'"\ud83d"', r'"\ud83d\n"', r'"\ude00"', r'"\ud83d\u0041"', r'"\ud83d\ud83d"'):
        with pytest.raises(Unreadable) as refused:
            everything.scan(text, embedded_json=True)
        assert refused.value.code == "lone_surrogate"


def test_a_number_without_end_is_refused_beyond_the_limit(everything: Scanner) -> None:
    stream = everything.incremental(embedded_json=True)
    stream.feed("[" + "1" * 65_536)
    with pytest.raises(Unreadable) as refused:
        stream.feed("1")
    assert refused.value.code == "buffer_overflow"


def test_a_document_of_many_strings_is_read_in_linear_time(everything: Scanner) -> None:
    text = json.dumps([f"text {number}" for number in range(30_000)] + ["jane@example.com"])
    assert [finding.entity for finding in everything.scan(text, embedded_json=True)] == ["EMAIL_ADDRESS"]
