"""What an event has in common with others, and where its gaps stand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from authz_service.inspection.likeness import Likeness, likeness_of
from authz_service.view.answer import AnswerField, Echo, Form, Varying

DOCUMENT = b'{"n":1,"t":"x","at":"2-3","p":-0.5}'
VARIES = (Varying(("n",), Form.COUNT), Varying(("at",), Form.TEXT), Varying(("p",), Form.SMALL))


def framed(document: bytes) -> bytes:
    return b"data: " + document + b"\n\n"


def learned(
    document: bytes = DOCUMENT, varies: Sequence[Varying] = VARIES, echoes: tuple[Echo, ...] = ()
) -> Likeness | None:
    field = AnswerField("c", ("t",), "x", echoes=echoes)
    return likeness_of(framed(document), document, bytes, field, varies)


def test_the_gaps_of_another_event_are_its_values_in_their_places() -> None:
    likeness = learned()
    assert likeness is not None
    document = b'{"n":40,"t":"a\\"b","at":"","p":1e-07}'
    event = framed(document)
    spans = likeness.spans(event)
    assert spans is not None
    assert [event[a:b] for a, b in spans] == [b"40", b'a\\"b', b"", b"1e-07"]
    assert (likeness.said, list(likeness.asides)) == (1, [2])
    assert likeness.document(event) == document
    assert document[likeness.gap(event)] == b'"a\\"b"'


@pytest.mark.parametrize(
    "event",
    [
        framed(DOCUMENT) + b"\n\n",
        framed(DOCUMENT) + framed(DOCUMENT),
        framed(DOCUMENT)[:-1],
        b" " + framed(DOCUMENT),
        framed(DOCUMENT.replace(b"1", b"01")),
        framed(DOCUMENT.replace(b"1", b"1000000")),
        framed(DOCUMENT.replace(b"2-3", "é".encode())),
        framed(DOCUMENT.replace(b"-0.5", b"-1e5")),
        framed(DOCUMENT.replace(b"-0.5", b"-0.5 ")),
        framed(DOCUMENT.replace(b'"t"', b'"u"')),
    ],
)
def test_an_event_that_differs_in_anything_else_is_not_like_it(event: bytes) -> None:
    likeness = learned()
    assert likeness is not None
    assert likeness.spans(event) is None
    with pytest.raises(RuntimeError):
        likeness.gap(event)


def test_a_value_that_has_not_the_form_that_it_may_vary_in_stays_as_it_is() -> None:
    document = DOCUMENT.replace(b"2-3", b"2,3")
    likeness = learned(document)
    assert likeness is not None
    assert likeness.spans(framed(document.replace(b'"n":1', b'"n":2'))) is not None
    assert likeness.spans(framed(document.replace(b"2,3", b"2-3"))) is None


def test_blanks_before_the_last_brace_are_as_many_as_they_like() -> None:
    likeness = learned(b'{"t":"x"  }', ())
    assert likeness is not None
    assert likeness.spans(framed(b'{"t":"y"       }')) is not None
    assert likeness.spans(framed(b'{"t":"y"}')) is not None
    assert likeness.spans(framed(b'{"t":"y"\t}')) is None


def test_what_shadows_all_of_the_text_may_vary_and_what_says_a_part_of_it_may_not() -> None:
    shadowed = learned(echoes=(Echo(0, 1, None, (("p",),)),))
    assert shadowed is not None
    assert shadowed.shadows == (("p",),)
    assert learned(echoes=(Echo(0, 1, ("at",)),)) is None
    assert learned(echoes=(Echo(0, 0, None, (("p",),)),)) is None
    assert learned(echoes=(Echo(0, 1, None, (("p",),)), Echo(0, 1, None, (("n",),)))) is None
