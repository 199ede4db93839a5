"""The text of a repeated event is that of the JSON string in its gap, and nothing else is like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.inspection.repetition import Repetition
from authz_service.view.answer import AnswerField

FIELD = AnswerField("c", ("t",), "x")
DOCUMENT = b'{"n":1,"t":"x"}'


def learned(event: bytes = b"data: " + DOCUMENT + b"\n\n", document: bytes = DOCUMENT) -> Repetition:
    repetition = Repetition(bool)
    repetition.learn(event, document, bytes, FIELD)
    return repetition


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (b"y", "y"),
        (b'a\\"b\\\\\\n\\u00e9', 'a"b\\\né'),
        ("é😀\x7f".encode(), "é😀\x7f"),
        (b"", None),
        (b'"', None),
        (b'","t":"y', None),
        (b"\\", None),
        (b"\\q", None),
        (b"\\ud83d\\ude00", None),
        (b"\\uD83d", None),
        (b"\n", None),
        (b"\x00", None),
        (b"\xff", None),
    ],
)
def test_the_text_is_that_of_the_json_string_in_the_gap(inside: bytes, text: str | None) -> None:
    event = b'data: {"n":1,"t":"' + inside + b'"}\n\n'
    likeness = learned().likeness
    assert learned().texts([event], 0) == ([] if text is None else [text])
    assert likeness is not None
    assert likeness.document(event) == event[6:-2]
    assert likeness.document(event)[likeness.gap(event)] == b'"' + inside + b'"'


INSIDE = st.sampled_from([b"y", b"a b", b"", b'"', b"\\n", b"\\", b"\n", "é".encode(), b"\xc3", b"\x7f"])


@given(st.lists(INSIDE, min_size=1, max_size=6))
def test_texts_that_are_looked_at_together_are_those_of_each_by_itself(insides: list[bytes]) -> None:
    events = [b'data: {"n":1,"t":"' + inside + b'"}\n\n' for inside in insides]
    alone = [learned().texts([event], 0) for event in events]
    until = next((n for n, texts in enumerate(alone) if not texts), len(alone))
    assert learned().texts(events, 0) == [text for texts in alone[:until] for text in texts]


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"n":2,"t":"y"}\n\n',
        b'data: {"n":1,"t":"y"} \n\n',
        b'data: {"n":1,"t":"y"}\r\n\r\n',
        b'data: {"n":1,"t":"}\n\n',
        b'data: {"n":1,"t":"y"]\n\n',
        b'event: e\ndata: {"n":1,"t":"y"}\n\n',
        b"",
    ],
)
def test_an_event_that_differs_in_anything_else_must_be_read(event: bytes) -> None:
    assert learned().texts([event], 0) == []


def test_after_what_must_be_read_nothing_is_known() -> None:
    repetition = learned()
    repetition.forget()
    assert repetition.texts([b"data: " + DOCUMENT + b"\n\n"], 0) == []
    assert Repetition(bool).texts([b""], 0) == []


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (b"\xef\xbb\xbfdata: " + DOCUMENT + b"\n\n", DOCUMENT),
        (b'data: {"n":1,\ndata: "t":"x"}\n\n', b'{"n":1,\n"t":"x"}'),
    ],
)
def test_what_means_something_else_in_another_place_is_not_learned(event: bytes, document: bytes) -> None:
    assert learned(event, document).texts([event], 0) == []


def test_where_no_event_is_like_the_one_before_it_likeness_is_given_up() -> None:
    repetition = Repetition(bool)
    event = b"data: " + DOCUMENT + b"\n\n"
    for _ in range(4):
        repetition.learn(event, DOCUMENT, bytes, FIELD)
    assert repetition.texts([event], 0) == ["x"]
    for _ in range(5):
        repetition.learn(event, DOCUMENT, bytes, FIELD)
    assert repetition.texts([event], 0) == []
