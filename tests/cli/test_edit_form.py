"""What an editor gets of a request, and what is read of what it saved."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_cli.edit_form import Conversation, json_text
from authz_cli.exits import Failure
from authz_cli.outline import parse

TEXT = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["", "\n", "=== end ===\n", "a\r\nb", "a\r"]
)


def body_of(*texts: str) -> bytes:
    messages = [{"role": "user", "content": text} for text in texts]
    return json.dumps({"model": "llama", "messages": messages, "n": 1}).encode()


@given(texts=st.lists(TEXT, min_size=1, max_size=4))
def test_what_nobody_edited_is_read_as_it_was(texts: list[str]) -> None:
    body = parse(body_of(*texts))
    form = Conversation(body)
    saved = form.text().replace("\r\n", "\n")  # as an editor's file is read
    assert form.read(saved) == body
    assert parse(json_text(body).encode()) == body
    assert parse(json_text(body, indent="  ").encode()) == body


def test_one_text_is_edited_and_the_others_stay() -> None:
    form = Conversation(parse(body_of("Buy 100 boats", "a\r\nb")))
    edited = form.read(form.text().replace("\r\n", "\n").replace("100 boats", "1 boat\nand oars"))
    assert edited == parse(body_of("Buy 1 boat\nand oars", "a\r\nb"))


def test_numbers_stay_as_they_were_written() -> None:
    assert json_text(parse(b'{"a": 1.50, "b": 1e400}')) == '{"a": 1.50, "b": 1e400}'


def test_a_line_between_the_texts_that_is_gone_or_there_twice_is_refused() -> None:
    form = Conversation(parse(body_of("one", "two")))
    line = next(line for line in form.text().splitlines() if "messages/1" in line)
    for broken in (form.text().replace(line, ""), form.text().replace("one", f"one\n{line}")):
        with pytest.raises(Failure):
            form.read(broken)


def test_what_has_no_conversation_is_edited_as_json() -> None:
    assert Conversation(parse(b'{"model": "llama", "n": 1}')).is_empty


@pytest.mark.parametrize("value", [{}, [], {"a": [{"b": "ä\x1b\u202e"}, [], {}]}, [None, True, -1, 1.5], "a"])
def test_json_for_programs_is_as_ever_but_for_numbers_as_they_are_written(value: object) -> None:
    assert json_text(value, indent="  ", is_ascii=True) == json.dumps(value, indent=2)
    assert json_text({"a": parse(b"[1E2, 0.1000]")}, is_ascii=True) == '{"a": [1E2, 0.1000]}'
