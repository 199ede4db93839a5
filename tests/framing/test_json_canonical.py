"""Two documents have one canonical form when, and only when, they say the same."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from authz_service.framing.json_canonical import fingerprint_json
from authz_service.framing.json_document import read_json

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)
tokens = st.from_regex(r"\A-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?\Z")


@given(values)
@example(
    [
        1e16,
        1e21,
        1e20,
        1e-6,
        1e-7,
        -0.0,
        0.0,
        5e-324,
        1.7976931348623157e308,
        123456789012345680000.0,
        -1.5e-9,
    ]
)
@example({"\U0001f600": 1, "\ue000": 2, "\x7f": 3, "\x1f": 4, "": 5})
def test_it_is_what_rfc_8785_says_for_every_value_in_its_domain(value: object) -> None:
    assert fingerprint_json(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@given(tokens, tokens)
@example("9007199254740992", "9007199254740993")
@example("0.1", "0.1000000000000000055511151231257827")
@example("1e23", "99999999999999991611392")
@example("1152921504606846976", "1152921504606846976.0")
def test_different_numbers_never_share_a_form(one: str, other: str) -> None:
    forms = [fingerprint_json(read_json(t.encode(), max_depth=1)) for t in (one, other)]
    assert forms[0] != forms[1] or Decimal(one) == Decimal(other)


@given(tokens)
def test_a_form_has_the_value_that_was_written(token: str) -> None:
    assert Decimal(fingerprint_json(read_json(token.encode(), max_depth=1)).decode()) == Decimal(token)


def test_order_space_and_escapes_do_not_matter() -> None:
    one = read_json(b'{"b": [1.0, "\\u0041"], "a": 1e2}', max_depth=4)
    other = read_json(b'{"a":100,"b":[1,"A"]}', max_depth=4)
    assert fingerprint_json(one) == fingerprint_json(other) == b'{"a":100,"b":[1,"A"]}'


@pytest.mark.parametrize(
    ("without", "form"),
    [
        ([("m", "nonce")], b'{"l":[{"nonce":2}],"m":{"k":1},"nonce":3}'),
        ([("nonce",), ("m",)], b'{"l":[{"nonce":2}]}'),
        ([("l", "0", "nonce"), ("absent",), ("nonce", "deeper")], None),
        ([()], None),
    ],
)
def test_what_is_left_out_is_what_the_paths_name(without: list[tuple[str, ...]], form: bytes | None) -> None:
    document = {"m": {"nonce": 1, "k": 1}, "l": [{"nonce": 2}], "nonce": 3}
    assert fingerprint_json(document, without) == (form or fingerprint_json(document))
    assert document["m"] == {"nonce": 1, "k": 1}


def test_every_character_is_written_as_the_standard_library_writes_it() -> None:
    written = json.JSONEncoder(ensure_ascii=False).encode
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for at in range(0, len(characters), 4096):
        text = "".join(characters[at : at + 4096])
        assert fingerprint_json(text) == written(text).encode()
