"""What is split over the items of an array is found, in each item its share, in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import SupportsIndex, cast

from hypothesis import given
from hypothesis import strategies as st

from authz_service.inspection.neighbours import Share, findings_across
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Scanner
from authz_service.view.request import Role, TextField


class Threes:
    """A scanner that finds three digits in a row."""

    def scan(self, text: str) -> list[Finding]:
        return [Finding("THREE", *match.span()) for match in re.finditer(r"\d{3}", text)]


SCANNER = cast(Scanner, Threes())


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
    found = findings_across(list(parts(["a1", "", "2", "3b456", "7"])), SCANNER)
    assert found == {
        0: [Share(Finding("THREE", 1, 2), is_tail=False)],
        2: [Share(Finding("THREE", 0, 1), is_tail=True)],
        3: [Share(Finding("THREE", 0, 1), is_tail=True)],
    }


@given(st.lists(st.text("12a", max_size=5), max_size=8))
def test_the_shares_joined_are_what_the_joined_texts_have(texts: list[str]) -> None:
    joined = "".join(texts)
    starts = [sum(map(len, texts[:i])) for i in range(len(texts))]
    said = set()
    for i, shares in findings_across(list(parts(texts)), SCANNER).items():
        for share in shares:
            said |= {starts[i] + at for at in range(share.finding.start, share.finding.end)}
            assert 0 <= share.finding.start < share.finding.end <= len(texts[i])
    ends = [start + len(text) for start, text in zip(starts, texts, strict=True)]
    crossing = [
        f
        for f in SCANNER.scan(joined)
        if not any(a <= f.start and f.end <= b for a, b in zip(starts, ends, strict=True))
    ]
    assert said == {at for f in crossing for at in range(f.start, f.end)}


def test_many_findings_in_many_items_are_not_each_looked_for_in_every_item() -> None:
    texts = Counting(parts(["123 "] * 2000))
    assert findings_across(texts, SCANNER) == {}
    assert texts.asked < 10 * len(texts)
