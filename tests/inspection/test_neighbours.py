"""What is split over the items of an array is found, in each item its share, in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import SupportsIndex, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.inspection.neighbours import Share, findings_across
from authz_service.masking.finding import Finding
from authz_service.view.request import Path, Role, TextField, TextKind


def scan(text: str) -> list[Finding]:
    """Finds three digits in a row."""
    return [Finding("THREE", *match.span()) for match in re.finditer(r"\d{3}", text)]


class Counting(list[TextField]):
    """Counts how often an item of it is asked for."""

    asked = 0

    def __getitem__(self, index: SupportsIndex | slice) -> TextField:  # type: ignore[override]  # no slices
        self.asked += 1
        return cast(TextField, super().__getitem__(index))


def parts(texts: Iterable[str]) -> Iterator[TextField]:
    for i, text in enumerate(texts):
        yield TextField(("messages", 0, "content", i, "text"), text, Role.USER)


def test_each_item_has_its_share_of_what_crosses_it() -> None:
    found = findings_across(list(parts(["a1", "", "2", "3b456", "7"])), scan)
    assert found == {
        0: [Share(Finding("THREE", 1, 2), is_tail=False, written="123")],
        2: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
        3: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
    }


@given(st.lists(st.text("12a", max_size=5), max_size=8))
def test_the_shares_joined_are_what_the_joined_texts_have(texts: list[str]) -> None:
    joined = "".join(texts)
    starts = [sum(map(len, texts[:i])) for i in range(len(texts))]
    said = set()
    for i, shares in findings_across(list(parts(texts)), scan).items():
        for share in shares:
            said |= {starts[i] + at for at in range(share.finding.start, share.finding.end)}
            assert 0 <= share.finding.start < share.finding.end <= len(texts[i])
    ends = [start + len(text) for start, text in zip(starts, texts, strict=True)]
    crossing = [
        f
        for f in scan(joined)
        if not any(a <= f.start and f.end <= b for a, b in zip(starts, ends, strict=True))
    ]
    assert said == {at for f in crossing for at in range(f.start, f.end)}


def test_many_findings_in_many_items_are_not_each_looked_for_in_every_item() -> None:
    texts = Counting(parts(["123 "] * 2000))
    assert findings_across(texts, scan) == {}
    assert texts.asked < 10 * len(texts)


def test_the_items_of_an_outermost_list_are_one_text_where_the_dialect_says_so() -> None:
    texts = [TextField(("system", i, "text"), text, Role.SYSTEM) for i, text in enumerate(("a12", "3b"))]
    assert findings_across(texts, scan) == {}
    assert findings_across(texts, scan, {"stop"}) == {}
    assert findings_across(texts, scan, {"system"}) == {
        0: [Share(Finding("THREE", 1, 3), is_tail=False, written="123")],
        1: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
    }


def test_parts_of_several_types_are_one_text_in_their_order() -> None:
    where = ("messages", 0, "content")
    texts = [
        TextField((*where, 0, "text"), "a1", Role.USER),
        TextField((*where, 1), "2", Role.USER),
        TextField((*where, 2, "refusal"), "3b", Role.USER),
        TextField((*where, 3, "text"), " 4", Role.USER),
        TextField((*where, 3, "own"), "1", Role.USER),
    ]
    assert findings_across(texts, scan) == {
        0: [Share(Finding("THREE", 1, 2), is_tail=False, written="123")],
        1: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
        2: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
    }


def said(*parts: tuple[str, str], at: int = 0) -> list[TextField]:
    """The texts of parts of these types; "" is a string in the place of a part."""
    where = ("messages", 0, "content")
    return [
        TextField((*where, at + i, *([kind] if kind else [])), text, Role.USER)
        for i, (kind, text) in enumerate(parts)
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [("text", "a12"), ("refusal", " x "), ("text", "3b")],
        [("text", "a12"), ("thinking", " x "), ("", "3b")],
        [("text", "a12"), ("thinking", " x "), ("refusal", " y "), ("text", "3b")],
        [("text", "a12"), ("thinking", " x "), ("", ""), ("refusal", "3b")],
    ],
)
def test_parts_of_some_types_are_one_text_past_those_of_others(parts: list[tuple[str, str]]) -> None:
    assert findings_across(said(*parts), scan) == {
        0: [Share(Finding("THREE", 1, 3), is_tail=False, written="123")],
        len(parts) - 1: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
    }


def test_what_several_readings_find_in_a_place_is_one_share_with_the_longest_of_them() -> None:
    assert findings_across(said(("text", "12"), ("thinking", "3"), ("text", "4")), scan) == {
        0: [Share(Finding("THREE", 0, 2), is_tail=False, written="123")],
        1: [Share(Finding("THREE", 0, 1), is_tail=True, written="123")],
        2: [Share(Finding("THREE", 0, 1), is_tail=True, written="124")],
    }


def test_an_item_with_two_texts_does_not_keep_the_others_from_being_one_text() -> None:
    texts = said(("text", "1"), ("thinking", "2"), ("text", "3"))
    assert set(findings_across(texts, scan)) == {0, 1, 2}
    both = [*said(("text", "x"), at=3), *said(("thinking", "y"), at=3)]
    assert set(findings_across([*texts, *both], scan)) == {0, 1, 2}
    # Nobody could say which of its texts goes on with the next, but one that is empty does not.
    assert findings_across([*said(("text", "1")), *said(("thinking", "2"), ("text", "3"))], scan) == {}
    empty = [*said(("text", "1")), *said(("refusal", "")), *said(("refusal", "23"), at=1)]
    assert set(findings_across(empty, scan)) == {0, 2}


def test_keys_numbers_and_documents_are_nobodys_neighbours() -> None:
    whole = TextField(("tools", 0, "x", 0), "a12", Role.OTHER)
    for other in (
        TextField(("tools", 0, "x", 1), "3", Role.OTHER, is_number=True),
        TextField(("tools", 0, "x", 1), "3", Role.OTHER, is_key=True),
        TextField(("tools", 0, "x", 1), "3", Role.OTHER, TextKind.JSON),
        TextField(("tools", 1, "x", 1), "3", Role.OTHER),
        TextField(("tools", 0, "y", 1), "3", Role.OTHER),
        TextField(("tools", 0, "x"), "3", Role.OTHER),
    ):
        assert findings_across([whole, other], scan) == {}


@pytest.mark.parametrize(("types", "times"), [(1, 1), (2, 2), (4, 8)])
def test_joined_parts_are_looked_at_a_few_times_however_many_there_are(types: int, times: int) -> None:
    kinds: list[tuple[str, ...]] = [("text",), ("thinking",), ("refusal",), ()]
    paths: list[Path] = [("messages", 0, "content", i, *kinds[i % types]) for i in range(400)]
    looked_at: list[int] = []

    def counting(text: str) -> list[Finding]:
        looked_at.append(len(text))
        return []

    findings_across([TextField(path, "x" * 100, Role.USER) for path in paths], counting)
    assert sum(looked_at) == times * 400 * 100
