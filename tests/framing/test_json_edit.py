"""An edit changes the strings that it names and no other byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from authz_service.framing.json_document import read_json
from authz_service.framing.json_edit import edit_json, find_value

Path = tuple[str | int, ...]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=15,
)
spaces = st.text(" \t\n\r", max_size=2)


def strings(value: object, path: Path = ()) -> list[Path]:
    match value:
        case str():
            return [path]
        case list():
            return [p for i, v in enumerate(value) for p in strings(v, (*path, i))]
        case dict():
            return [p for k, v in value.items() for p in strings(v, (*path, k))]
    return []


def put(value: Any, path: Path, new: str | None) -> Any:
    if not path:
        return new
    step, *rest = path
    changed = value.copy()
    changed[step] = put(value[step], tuple(rest), new)
    return changed


def written(value: object, draw: Any, fill: dict[Path, str], path: Path = ()) -> str:
    """Some way of writing `value`, with odd spaces and escapes; `fill` are tokens to put at a path."""
    s: str = draw(spaces)
    if path in fill:
        return fill[path]
    match value:
        case list():
            inner = f"{s},".join(s + written(v, draw, fill, (*path, i)) for i, v in enumerate(value))
            return f"[{inner}{s}]"
        case dict():
            members = (
                f"{s}{written(k, draw, {}, ())}{s}:{s}{written(v, draw, fill, (*path, k))}"
                for k, v in value.items()
            )
            return "{" + s + f"{s},".join(members) + s + "}"
        case str() if draw(st.booleans()):
            units = value.encode("utf-16-be")
            escaped = "".join(f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2))
            return f'"{escaped}"'
    return json.dumps(value, ensure_ascii=draw(st.booleans()))


def plainly(strategy: object) -> Any:
    return " " if strategy is spaces else False


@given(values, st.data())
def test_the_edited_document_says_what_was_edited_and_nothing_else(
    value: object, data: st.DataObject
) -> None:
    paths = strings(value)
    chosen = data.draw(st.lists(st.sampled_from(paths), unique=True)) if paths else []
    edits: dict[Path, str | None] = {p: data.draw(st.none() | st.text()) for p in chosen}
    document = written(value, data.draw, {}).encode()
    expected = value
    for path, new in edits.items():
        expected = put(expected, path, new)
    assert read_json(edit_json(document, edits), max_depth=64) == expected


@given(values, st.data())
def test_every_byte_outside_the_edited_tokens_stays(value: object, data: st.DataObject) -> None:
    paths = strings(value)
    chosen = data.draw(st.lists(st.sampled_from(paths), unique=True)) if paths else []
    marks = {p: f'"<{i}>"' for i, p in enumerate(chosen)}
    before = written(value, plainly, {})
    after = written(value, plainly, marks)
    edits: dict[Path, str | None] = {p: f"<{i}>" for i, p in enumerate(chosen)}
    assert edit_json(before.encode(), edits).decode() == after


@given(values, st.data())
def test_a_value_is_found_where_it_stands(value: object, data: st.DataObject) -> None:
    paths = strings(value)
    assume(paths)
    path = data.draw(st.sampled_from(paths))
    document = written(value, data.draw, {path: '"<here>"'}).encode()
    start, end = find_value(document, path)
    assert document[start:end] == b'"<here>"'


def test_no_edit_gives_the_same_bytes() -> None:
    document = '{ "a" : [1.0e5, "\\u00e9é", -0, 12345678901234567890123], "b":null }\n'.encode()
    assert edit_json(document, {}) == document


def test_numbers_around_an_edit_keep_their_tokens() -> None:
    assert edit_json(b'{"n":1.50,"s":"x","m":1E3}', {("s",): "y"}) == b'{"n":1.50,"s":"y","m":1E3}'


def test_any_value_can_become_null() -> None:
    assert (
        edit_json(b'{"a":{"b":[1,{}]},"c":2}', {("a", "b"): None, ("c",): None})
        == b'{"a":{"b":null},"c":null}'
    )


def test_a_replacement_is_escaped_like_the_string_that_it_replaces() -> None:
    assert edit_json(b'["a"]', {(0,): 'é"'}) == b'["\\u00e9\\""]'
    assert edit_json('["ö"]'.encode(), {(0,): "é"}) == '["é"]'.encode()


def test_a_key_can_be_renamed_while_its_value_is_edited() -> None:
    edited = edit_json(b'{"a b":{"x":"1"},"c":2}', {("a b", "x"): "2"}, {("a b",): "[K]", ("c",): "[L]"})
    assert edited == b'{"[K]":{"x":"2"},"[L]":2}'


@pytest.mark.parametrize("path", [("b",), ("a", 2), ("a", 0, "x"), ("a", "0"), (0,), ("a", 1, "y", "z")])
def test_an_edit_whose_path_is_not_there_fails_loudly(path: Path) -> None:
    with pytest.raises(LookupError):
        edit_json(b'{"a":["s",{"y":1}]}', {path: "new"})
    with pytest.raises(LookupError):
        find_value(b'{"a":["s",{"y":1}]}', path)


def test_of_several_edits_none_is_forgotten_wherever_they_stand() -> None:
    document = b'{"a":["s",{"y":"1"}],"b":"' + b"x" * 99 + b'","c":{},"d":[{"e":"2"},[],"3"]}'
    edits: dict[Path, str | None] = {("d", 2): "C", ("b",): "B", ("a", 1, "y"): "A"}
    assert edit_json(document, edits) == b'{"a":["s",{"y":"A"}],"b":"B","c":{},"d":[{"e":"2"},[],"C"]}'
    with pytest.raises(LookupError):
        edit_json(document, {**edits, ("d", 3): "D"})


@pytest.mark.parametrize("value", [b"true", b"null", b"{}", b"[]"])
def test_a_string_replaces_strings_and_numbers_only(value: bytes) -> None:
    assert edit_json(b"[5, 1.5]", {(0,): "new", (1,): "er"}) == b'["new", "er"]'
    with pytest.raises(TypeError):
        edit_json(b"[" + value + b"]", {(0,): "new"})


def test_an_edit_within_a_replaced_value_fails_loudly() -> None:
    with pytest.raises(LookupError):
        edit_json(b'{"a":["s"]}', {("a",): None, ("a", 0): "x"})


@pytest.mark.parametrize(
    "text", ["", '"', "\\", '\\"', "\\\\", 'a "quoted" \\ word', "\x7f\x01\n", "ü\u2028"]
)
@pytest.mark.parametrize("ensure_ascii", [False, True])
def test_long_strings_with_quotes_and_backslashes_are_skipped_and_replaced(
    text: str, ensure_ascii: bool
) -> None:
    long = f"{text}{'x' * 40}{text}"
    members = {"first": long, "it": long, "last": long}
    data = json.dumps([long, members], ensure_ascii=ensure_ascii).encode()
    assert edit_json(data, {(1, "it"): text}) == data.replace(
        json.dumps({"it": long}, ensure_ascii=ensure_ascii).encode()[1:-1],
        b'"it": ' + edit_json(json.dumps(long, ensure_ascii=ensure_ascii).encode(), {(): text}),
    )
    assert json.loads(edit_json(data, {(1, "it"): text})) == [long, {**members, "it": text}]
