"""What a dialect gets from the shared reader: whatever it does not name is a text, or stops the request."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.model_apis.request_reader import RequestReader
from authz_service.model_apis.request_texts import Speaker
from authz_service.model_apis.words import JSON_SCHEMA_KEYS, Words
from authz_service.view.request import Role

WORDS = Words(
    keys=JSON_SCHEMA_KEYS | {"model", "prompt", "text", "name", "options", "stream", "n", "images", "raw"},
    selecting={"type": frozenset({"text", "object"}), "raw": frozenset({"yes"})},
    refused={"images": "it holds media"},
)
USER = Speaker(Role.USER, new_turn=True)


@pytest.fixture
def reader() -> RequestReader:
    return RequestReader(WORDS)


def refused(call: Any, *arguments: Any, **named: Any) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        call(*arguments, **named)
    return caught.value


def test_strings_keys_and_numbers_of_a_member_are_texts_in_order(reader: RequestReader) -> None:
    reader.member("extra", {"raw": "yes", "prompt": "p", "n": 1.5, "list": ["q", True]}, (), USER)
    assert [(t.path, t.text, t.is_key, t.is_number) for t in reader.texts] == [
        (("extra",), "extra", True, False),
        (("extra", "prompt"), "p", False, False),
        (("extra", "n"), "1.5", False, True),
        (("extra", "list"), "list", True, False),
        (("extra", "list", 0), "q", False, False),
    ]
    assert all((t.role, t.new_turn) == (Role.USER, True) for t in reader.texts)


def test_a_number_of_the_apis_own_at_the_root_says_nothing(reader: RequestReader) -> None:
    reader.member("n", 5, ())
    reader.member("m", 6, ())
    assert [(t.text, t.is_number) for t in reader.texts] == [("m", False), ("6", True)]


def test_a_number_at_the_root_that_no_setting_needs_is_a_text_and_a_seed_is_none(
    reader: RequestReader,
) -> None:
    small = Words(keys=frozenset(("n", "seed")))
    of_the_api = RequestReader(small)
    of_the_api.member("n", 4111111111111111, ())
    of_the_api.member("seed", 4111111111111111, ())
    assert [(t.text, t.is_number) for t in of_the_api.texts] == [("4111111111111111", True)]


@pytest.mark.parametrize("key", ["images", "Images", "images\0"])
def test_a_refused_field_stops_the_request_however_deep_and_in_any_letters(
    reader: RequestReader, key: str
) -> None:
    error = refused(reader.member, "options", {"x": [{key: "data"}]}, ())
    assert error.code == ("unsupported_field" if key == "images" else "ambiguous_field")
    assert "data" not in str(error)


def test_in_what_is_free_any_field_and_any_list_of_numbers_is_ordinary(reader: RequestReader) -> None:
    reader.member("options", {"images": [1, 2]}, (), is_free=True)
    assert [t.text for t in reader.texts] == ["1", "2"]
    assert refused(reader.member, "options", {"raw": [1, 2]}, ()).code == "unsupported_field"


class Prose(RequestReader):
    """A dialect that says of a key that it holds prose."""

    prose = frozenset({"name"})


def test_where_somebody_speaks_prose_is_a_string_or_null() -> None:
    reader = Prose(WORDS)
    reader.member("name", "a", (), USER)
    reader.member("name", None, (), USER)
    reader.member("name", {"text": "b"}, ())
    assert [t.text for t in reader.texts] == ["a", "b"]
    for value in ({"text": "b"}, ["b"], 5, True):
        assert refused(reader.member, "options", {"name": value}, (), USER).code == "invalid_field"


def test_an_object_with_a_key_in_disguise_is_refused(reader: RequestReader) -> None:
    assert reader.expect_object({"prompt": 1, "other": 2}, ()) == {"prompt": 1, "other": 2}
    assert refused(reader.expect_object, {"Prompt": 1}, ("options",)).code == "ambiguous_field"


@pytest.mark.parametrize(
    ("method", "value"),
    [("expect_object", []), ("expect_list", {}), ("expect_text", 1), ("expect_text", None)],
)
def test_what_has_another_type_is_refused(reader: RequestReader, method: str, value: Any) -> None:
    error = refused(getattr(reader, method), value, ("prompt",))
    assert error.code == "invalid_field"
    assert str(error).startswith("prompt: ")


CARRIERS = {"text": "text", "thought": "raw"}


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("a", ["a"]),
        (None, []),
        (["a", {"type": "text", "text": "b"}], ["a", "b"]),
        ([{"type": "thought", "raw": "c", "name": "d", "e": "f"}], ["c", "d", "e", "f"]),
    ],
)
def test_the_parts_of_a_message_are_texts(reader: RequestReader, content: Any, texts: list[str]) -> None:
    reader.parts(content, ("prompt",), USER, CARRIERS)
    assert [t.text for t in reader.texts] == texts


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (5, "invalid_field"),
        ({"type": "text", "text": "a"}, "invalid_field"),
        ([{"type": "images", "images": "x"}], "unsupported_content"),
        ([{"type": ["text"]}], "unsupported_content"),
        ([{"text": "a"}], "unsupported_content"),
        ([{"type": "text", "text": 1}], "invalid_field"),
        ([{"type": "text", "text": "a", "images": "x"}], "unsupported_field"),
        ([{"type": "text", "Text": "a", "text": "b"}], "ambiguous_field"),
        ([5], "invalid_field"),
    ],
)
def test_a_part_that_is_not_text_stops_the_request(reader: RequestReader, content: Any, code: str) -> None:
    assert refused(reader.parts, content, ("prompt",), USER, CARRIERS).code == code


def test_a_tools_definition_is_read_to_its_last_word(reader: RequestReader) -> None:
    schema = {"type": "object", "properties": {"images": {"enum": ["x"], "default": 7}}}
    reader.tool(
        {"name": "find", "description": "finds", "schema": schema}, ("tools", 0), frozenset({"schema"})
    )
    assert reader.tools == ["find"]
    assert [t.text for t in reader.texts] == ["find", "finds", "schema", "x", "7"]
    assert {t.role for t in reader.texts} == {Role.OTHER}
    assert refused(reader.tool, {"description": "x"}, ("tools", 0), frozenset()).code == "invalid_field"
    outside = {"name": "find", "other": schema}
    assert refused(reader.tool, outside, ("tools", 0), frozenset({"schema"})).code == "unsupported_field"


def test_the_head_of_a_request_is_read_by_type(reader: RequestReader) -> None:
    assert reader.model_name({"model": "llama"}) == "llama"
    assert reader.flag({"stream": True}, "stream")
    assert not reader.flag({"stream": None}, "stream")
    assert reader.flag({}, "stream", default=True)
    assert not reader.flag({"stream": False}, "stream", default=True)
    assert reader.count({}, "n", highest=4) == reader.count({"n": None}, "n", highest=4) == 1
    assert reader.count({"n": 4}, "n", highest=4) == 4
    for bad in ({}, {"model": ""}, {"model": 1}, {"model": None}):
        assert refused(reader.model_name, bad).code == "invalid_field"
    for number in (0, 5, True, "1", 1.0):
        assert refused(reader.count, {"n": number}, "n", highest=4).code == "invalid_field"
    for flag in (0, 1, "true"):
        assert refused(reader.flag, {"stream": flag}, "stream").code == "invalid_field"


def test_rules_may_ask_for_numbers_booleans_and_words_that_select(reader: RequestReader) -> None:
    body = {"n": 2, "stream": False, "raw": "yes", "prompt": "yes", "options": {"n": 1}, "seed": None}
    assert reader.parameters(body) == {"n": 2, "stream": False, "raw": "yes"}


def test_tokens_are_estimated_from_all_that_was_read(reader: RequestReader) -> None:
    assert reader.token_estimate() == 0
    reader.add("x" * 5, ("prompt",))
    assert reader.token_estimate() == 2
