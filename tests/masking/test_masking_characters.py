"""Between characters and the bytes that say them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from authz_service.masking import characters

mixed = st.lists(st.sampled_from(["a", "é", "€", "😀", "\x00", "\u0301", "漢字"]), max_size=60).map("".join)


@given(mixed | st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 80), st.data())
def test_so_many_characters_back_is_where_they_begin(text: str, steps: int, data: st.DataObject) -> None:
    until = data.draw(st.integers(0, len(text)))
    at = len(text[:until].encode())
    expected = len(text[: max(0, until - steps)].encode())
    assert characters.back(text.encode(), at, steps) == expected


@given(mixed, st.data())
def test_places_in_bytes_are_places_in_characters(text: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=8))
    by_byte = {len(text[:place].encode()): place for place in places}
    assert characters.offsets(text.encode(), by_byte) == by_byte
    assert characters.count(text.encode()) == len(text)
