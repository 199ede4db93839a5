"""A frame whose reader says that it repeats need not be read when it comes again with other words."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspection.dialects.repeating import ODD, STREAMS, USUAL, Repeating, filled

from authz_service.errors import Unreadable
from authz_service.model_apis.answer_frame import MOST_EMPTY
from authz_service.view.answer import AnswerField, AnswerFrame, Form
from authz_service.view.request import Path

each_stream = pytest.mark.parametrize("stream", STREAMS, ids=repr)
words = st.sampled_from(["a", "12", "1234", " ", "é", "stop"])
OTHERS: dict[Form, st.SearchStrategy[Any]] = {
    Form.COUNT: st.integers(0, 999_999),
    Form.COUNTS: st.lists(st.integers(0, 999_999), min_size=1, max_size=4),
    Form.SMALL: st.one_of(st.integers(-999_999, 999_999), st.floats(-999_999, 999_999)),
    Form.TEXT: st.sampled_from(["", "b", "2-3", "1234"]),
}


def read(data: bytes) -> Any:
    """A document as JSON has it, or None; the reader need not know what is none."""
    try:
        return json.loads(data)
    except ValueError:
        return None


@st.composite
def documents(draw: st.DrawFn, of: Repeating) -> list[Any]:
    """Some are odd in one thing."""
    found = [json.loads(document) for document in of.opening]
    for _ in range(draw(st.integers(1, 8))):
        template = draw(st.sampled_from([*of.templates, *of.templates, *of.turns]))
        values = {mark: draw(st.sampled_from(USUAL[mark])) for mark in USUAL}
        if draw(st.integers(0, 4)) == 0:
            odd = draw(st.sampled_from(sorted(ODD)))
            values[odd] = draw(st.sampled_from(ODD[odd]))
        document = read(filled(template, draw(words).encode(), values))
        if document is not None:
            found += [document] * draw(st.sampled_from([1, 1, 2, 9]))
    return found


def replaced(document: Any, path: Path, value: Any) -> Any:
    changed = copy.deepcopy(document)
    at = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return changed


def plain(frame: AnswerFrame) -> AnswerFrame:
    """Pieces that nobody named are parts by any name."""
    fields = tuple(f._replace(part="*") if f.is_unnamed else f for f in frame.fields)
    return frame._replace(fields=fields)


def said_again(frame: AnswerFrame, text: str, asides: dict[Path, str]) -> AnswerFrame:
    """What the frame promises to be with this text, and with these texts beside it."""
    fields: list[AnswerField] = []
    for field in frame.fields:
        if not field.is_whole:
            echoes = tuple(echo._replace(end=len(text)) for echo in field.echoes)
            fields.append(field._replace(text=text, echoes=echoes))
        elif field.path not in asides:
            fields.append(field)
    fields += [AnswerField("", path, said, is_whole=True) for path, said in asides.items() if said]
    return frame._replace(fields=tuple(sorted(fields, key=repr)))


@each_stream
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_frame_that_may_repeat_need_not_be_read_again(stream: Repeating, data: st.DataObject) -> None:
    """One reader reads each such frame several times, the other once: what they say is the same."""
    thorough, brief = (stream.api.answer_reader(stream.request) for _ in range(2))
    for document in data.draw(documents(stream)):
        try:
            frame = thorough.read(document)
        except Unreadable:
            with pytest.raises(Unreadable):
                brief.read(document)
            return
        assert plain(brief.read(document)) == plain(frame)
        if not frame.repeats:
            continue
        (piece,) = (field for field in frame.fields if not field.is_whole)
        for text in (data.draw(words), data.draw(words)):
            other, asides = replaced(document, piece.path, text), dict[Path, str]()
            for path, form in frame.varies:
                value = data.draw(OTHERS[form])
                other = replaced(other, path, value)
                if form is Form.TEXT:
                    asides[path] = value
            again = thorough.read(other)
            assert again._replace(fields=tuple(sorted(again.fields, key=repr))) == said_again(
                frame, text, asides
            )


@each_stream
def test_the_words_of_each_dialect_may_repeat(stream: Repeating) -> None:
    reader = stream.api.answer_reader(stream.request)
    for document in stream.opening:
        reader.read(json.loads(document))
    template, *_ = stream.templates
    frame = reader.read(json.loads(filled(template, b"a", {})))
    assert frame.repeats
    marks = [mark for mark in ("@count", "@small", "@counts", "@aside") if mark.encode() + b";" in template]
    assert len(frame.varies) == sum(template.count(mark.encode() + b";") for mark in marks)
    assert not any(reader.read(json.loads(turn)).repeats for turn in stream.turns[:1] if turn)


WAITING = [
    (stream, template, empty)
    for stream in STREAMS
    for template in stream.templates
    for empty in (b'"own":null', b'"own":""', b'"reasoning":null')
    if empty in template
]


@pytest.mark.parametrize(("stream", "template", "empty"), WAITING)
def test_while_a_text_that_nobody_named_may_go_on_each_frame_without_it_is_counted(
    stream: Repeating, template: bytes, empty: bytes
) -> None:
    reader = stream.api.answer_reader(stream.request)
    for opening in stream.opening:
        reader.read(json.loads(opening))
    waiting = filled(template, b"a", {})
    reader.read(json.loads(waiting.replace(empty, empty.partition(b":")[0] + b':"12"')))
    repeats = [reader.read(json.loads(waiting)).repeats for _ in range(MOST_EMPTY + 2)]
    assert repeats == [False] * (MOST_EMPTY + 1) + [True]


def test_each_dialect_but_one_has_such_a_text() -> None:
    """The other's own tests say so of it."""
    waiting = {stream.operation for stream, *_ in WAITING}
    assert {stream.operation for stream in STREAMS} - waiting == {"chat_completions"}


@pytest.mark.parametrize("stream", [s for s in STREAMS if s.operation == "completions"], ids=repr)
def test_what_is_said_in_tokens_too_does_not_repeat(stream: Repeating) -> None:
    """With other words the tokens would not be theirs."""
    reader = stream.api.answer_reader(stream.request)
    (template,) = (template for template in stream.templates if b'"tokens"' in template)
    frame = reader.read(json.loads(filled(template, b"12", {})))
    assert frame.fields[-1].echoes
    assert not frame.repeats
