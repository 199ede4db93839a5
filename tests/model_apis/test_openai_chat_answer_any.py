"""Any frame of a chat answer, cut in any way: each string is a text, cleared, or a word that selects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model_apis.openai_chat_frames import call, channels, chunk, frames, message, unseen, wholes, words

from authz_service.errors import Unreadable
from authz_service.model_apis.openai_words import KEYS, SELECTING


def spoken(documents: Iterable[Any]) -> dict[str, str]:
    """The channels of the choices, and the names of known tools."""
    read = frames(documents)
    texts = channels(read)
    for frame in read:
        for path, text in wholes(frame).items():
            if path[-1] == "name":
                texts["name"] = text
    return texts


names = st.sampled_from([*sorted(KEYS), "own", "x/y", "~"])
scalars = st.none() | st.booleans() | st.integers(0, 10**6) | words
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(names, anything, max_size=3),
    st.dictionaries(names, anything, max_size=3),
    st.dictionaries(names, anything, max_size=3),
    st.sampled_from(["delta", "message"]),
)
def test_every_string_of_any_frame_is_a_text_or_cleared_or_on_the_selecting_list(
    beside: dict[str, Any], choice: dict[str, Any], said: dict[str, Any], source: str
) -> None:
    choice = {key: value for key, value in choice.items() if key not in ("delta", "message")}
    document = beside | {"choices": [choice | {"index": 0, source: said}]}
    try:
        (frame,) = frames([document])
    except Unreadable:
        return
    assert unseen(document, frame) == []


@st.composite
def cuts(draw: st.DrawFn, text: str) -> list[str]:
    """A text in pieces, empty ones too."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=200, deadline=None)
@given(st.data(), words, words, words, st.booleans())
def test_any_cut_into_frames_gives_the_channels_of_the_whole(
    data: st.DataObject, thought: str, said: str, arguments: str, is_known: bool
) -> None:
    name = "get_weather" if is_known else "invented"
    function = {"name": name, "arguments": arguments}
    whole = message(
        {"reasoning": thought, "content": said, "tool_calls": [{"id": "c", "function": function}]}
    )
    pieces = [
        *(chunk({"reasoning": piece}) for piece in data.draw(cuts(thought))),
        *(chunk({"content": piece}) for piece in data.draw(cuts(said))),
        chunk(call(name=name, arguments="")),
        *(chunk(call(arguments=piece)) for piece in data.draw(cuts(arguments))),
    ]
    assert spoken(pieces) == spoken([whole])


def test_a_word_that_selects_stands_under_a_key_of_the_dialect_that_is_never_cleared() -> None:
    """The reader passes over such a word without a look at its key."""
    for key in SELECTING:
        document = chunk({"content": "a"})
        document["choices"][0][key] = next(iter(SELECTING[key]))
        (frame,) = frames([document])
        assert [field.text for field in frame.fields] == ["a"]
        assert frame.cleared == ()
