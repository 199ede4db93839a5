"""A scanner of whole texts finds the same however a text comes, and settles nothing before its end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest

from authz_service.errors import Unreadable
from authz_service.masking.finding import Finding, join_pieces
from authz_service.masking.stream import MOST_HELD
from authz_service.masking.whole_texts import WholeTexts


def _names(text: str) -> Iterable[Finding]:
    """Two ways to find a name, in no order."""
    for pattern in ("Jane Doe", "Doe Jane", "Jane"):
        for match in re.finditer(pattern, text):
            yield Finding("PERSON", *match.span(), value=match[0])


SCANNER = WholeTexts(frozenset({"PERSON"}), _names)


def test_findings_come_in_order_and_what_overlaps_is_one() -> None:
    assert SCANNER.scan("Jane Doe Jane, Jane") == (Finding("PERSON", 0, 13), Finding("PERSON", 15, 19))


def test_any_cut_gives_the_findings_of_the_whole() -> None:
    text = "See Jane Doe, or Jane."
    for at in range(len(text) + 1):
        stream = SCANNER.incremental()
        assert stream.feed(text[:at]).settled == 0
        assert stream.finish(text[at:]) == (SCANNER.scan(text), len(text), frozenset())


def test_the_strings_of_a_document_are_texts() -> None:
    text = json.dumps({"to": "J\u00e9 Jane Doe", "n": 5}).replace("Jane", "J\\u0061ne")
    (found,) = SCANNER.scan(text, embedded_json=True)
    assert text[found.start : found.end] == "J\\u0061ne Doe"
    stream = SCANNER.incremental(embedded_json=True)
    steps = [*map(stream.feed, text), stream.finish()]
    assert join_pieces((step.findings, step.more) for step in steps) == (found,)


def test_a_stream_holds_back_no_more_than_may_be() -> None:
    stream = SCANNER.incremental()
    with pytest.raises(Unreadable):
        stream.feed("a" * (MOST_HELD + 1))
