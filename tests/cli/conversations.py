"""Kinds of bodies, and conversations to lay out."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "input_text", "image_url"]), "text": TEXT | st.none()}
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "a b"])},
    optional={
        "content": TEXT | st.lists(PART, max_size=2) | JSON,
        "name": TEXT,
        "tool_calls": JSON,
        "role2": JSON,
    },
)


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *strings(item))]
    return [text for item in value for text in strings(item)] if isinstance(value, list) else []


def values(value: Any) -> list[str]:
    """String values, without what is said in other words: the role of a message, the type of a text part."""
    return [text for text in strings(value) if text not in ("text", "user", "system", "assistant", "tool")]
