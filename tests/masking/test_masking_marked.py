"""Placeholders of one request are found letter by letter, in any cut, and no more waits than could be one."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.masking.finding import Finding
from authz_service.masking.placeholders import EVERYWHERE, TYPED, Place, Placeholders, WithTyped
from authz_service.masking.restoring import restoring_masks, restoring_scanner
from authz_service.masking.scanner import DetectorScanner

VALUES = {
    **{f"<PHONE_NUMBER_{n}>": f"+49 30 {n}" for n in range(1, 13)},
    "<EMAIL_ADDRESS_1>": 'a "b"\\\n@example.com',
    "<PLACEHOLDER_1>": "<EMAIL_ADDRESS_1>",
}
SCRAPS = ["<", ">", "<PHONE_", "PHONE_NUMBER_1", "PHONE_NUMBER_1>", "1", "2>", "<EMAIL_ADDRESS_", "x ", "_"]
SCRAPS += [
    "<PHONE_NUMBER_1>",
    "<EMAIL_ADDRESS_1>",
    "<PLACEHOLDER_1>",
    "<email_address_1>",
    "<PHONE_NUMBER_99>",
]
texts = st.lists(st.sampled_from([*SCRAPS, "é😀", '"', "\\"]), max_size=12).map("".join)
cuts = st.lists(st.integers(0, 120), max_size=8)


def placeholders() -> Placeholders:
    made = Placeholders({"PHONE_NUMBER": EVERYWHERE, "EMAIL_ADDRESS": frozenset([Place.TEXT])})
    for name, value in VALUES.items():
        entity = name[1:-1].rpartition("_")[0]
        assert made.name(TYPED if entity == "PLACEHOLDER" else entity, value) == name
    return made


TEXTS = restoring_scanner(placeholders(), Place.TEXT)
ARGUMENTS = restoring_scanner(placeholders(), Place.TOOL_ARGUMENTS)


def cut(text: str, at: Sequence[int]) -> list[str]:
    bounds = [0, *sorted(min(a, len(text)) for a in at), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(bounds)]


def found_one_by_one(text: str) -> list[Finding]:
    """What `scan` is to find, said as simply as possible."""
    found = [
        Finding(name[1:-1].rpartition("_")[0], at, at + len(name))
        for at in range(len(text))
        for name in VALUES
        if text.startswith(name, at)
    ]
    return sorted(found, key=lambda finding: finding.start)


def could_still_become_one(text: str) -> int:
    return max(
        (len(name[:n]) for name in VALUES for n in range(1, len(name)) if text.endswith(name[:n])), default=0
    )


@given(texts, cuts)
def test_any_cut_finds_what_the_whole_says_and_holds_back_only_what_could_be_one(
    text: str, at: Sequence[int]
) -> None:
    stream, found, fed = TEXTS.incremental(), list[Finding](), ""
    for piece in cut(text, at):
        progress = stream.feed(piece)
        fed += piece
        found += progress.findings
        assert len(fed) - progress.settled == could_still_become_one(fed)
    last = stream.finish()
    assert last.settled == len(text)
    assert [*found, *last.findings] == found_one_by_one(text) == list(TEXTS.scan(text))


@given(texts, cuts)
def test_any_cut_of_a_json_string_finds_what_it_says_with_values_escaped_for_it(
    text: str, at: Sequence[int]
) -> None:
    document = json.dumps({"a": [text, 1], "b": text})
    stream = ARGUMENTS.incremental(embedded_json=True)
    steps = [*map(stream.feed, cut(document, at)), stream.finish()]
    made, end = "", 0
    for finding in (f for step in steps for f in step.findings):
        made += document[end : finding.start] + finding.value
        end = finding.end
    expected = text
    for name, value in VALUES.items():
        if not name.startswith(("<EMAIL", "<PLACE")):  # e-mail addresses are restored in texts only
            expected = expected.replace(name, value)
    expected = expected.replace("<PLACEHOLDER_1>", VALUES["<PLACEHOLDER_1>"])
    assert json.loads(made + document[end:]) == {"a": [expected, 1], "b": expected}


def test_escapes_of_json_say_a_placeholder_too() -> None:
    document = r'{"to": "\u003cPHONE_NUMBER_3\u003e"}'
    (finding,) = ARGUMENTS.scan(document, embedded_json=True)
    assert document[finding.start : finding.end] == r"\u003cPHONE_NUMBER_3\u003e"
    assert finding.value == "+49 30 3"


@pytest.mark.parametrize(
    "text",
    ["<email_address_1>", "< EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_01>", "<EMAIL_ADDRESS_2>",
     "[EMAIL_ADDRESS_1]", "<EMAIL_ADDRESS_1", "\uff1cEMAIL_ADDRESS_1\uff1e", "<EMAIL\u200b_ADDRESS_1>",
     "&lt;EMAIL_ADDRESS_1&gt;"],
)  # fmt: skip
def test_what_is_written_otherwise_is_no_placeholder(text: str) -> None:
    assert TEXTS.scan(text) == ()


def test_the_same_value_has_the_same_placeholder_and_types_count_for_themselves() -> None:
    made = Placeholders({"JWT": EVERYWHERE, "IBAN_CODE": EVERYWHERE})
    names = [made.name(*said) for said in (("JWT", "a"), ("IBAN_CODE", "a"), ("JWT", "b"), ("JWT", "a"))]
    assert names == ["<JWT_1>", "<IBAN_CODE_1>", "<JWT_2>", "<JWT_1>"]


def test_no_value_shows_in_what_is_printed_of_a_map() -> None:
    shown = repr(placeholders().by_name)
    assert "<EMAIL_ADDRESS_1>" in shown
    assert "+49" not in shown
    assert "example.com" not in shown


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("say <EMAIL_ADDRESS_1>.", ["<EMAIL_ADDRESS_1>"]),
        ("<PLACEHOLDER_12> <EMAIL_ADDRESS_999999999>", ["<PLACEHOLDER_12>", "<EMAIL_ADDRESS_999999999>"]),
        ("<<EMAIL_ADDRESS_1>>", ["<EMAIL_ADDRESS_1>"]),
        ("<EMAIL_ADDRESS_0> <EMAIL_ADDRESS_> <EMAIL_ADDRESS_1a> <IBAN_CODE_1> <a> 1 < 2 > 1", []),
        ("<EMAIL_ADDRESS_1234567890>", []),
    ],
)
def test_what_looks_like_a_placeholder_of_these_types_is_found(text: str, typed: list[str]) -> None:
    scanner = WithTyped(DetectorScanner([]), {"EMAIL_ADDRESS"})
    found = scanner.scan(text)
    assert [text[f.start : f.end] for f in found] == typed
    assert {f.entity for f in found} <= {TYPED}
    document = json.dumps({"a": text}).replace("<", r"\u003c")
    assert [f.value for f in scanner.scan(document, embedded_json=True)] == typed


def test_what_an_answer_may_restore_has_a_limit() -> None:
    masks = restoring_masks(placeholders(), most=20)
    finding = Finding("PHONE_NUMBER", 0, 1, value="x" * 10)
    assert [masks.replacement(finding) for _ in range(2)] == ["x" * 10] * 2
    with pytest.raises(Unreadable, match="more than 20 characters") as refused:
        masks.replacement(finding)
    assert (refused.value.code, refused.value.status) == ("answer_too_large", 502)


def test_brackets_without_end_take_linear_time() -> None:
    text = "<" * 200_000 + "PHONE_NUMBER_1>" * 10_000
    assert len(TEXTS.scan(text)) == 1
