"""The word lists of a dialect, and what they make of a key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from authz_service.model_apis.openai_words import CHAT_WORDS
from authz_service.model_apis.words import Words

WORDS = Words(
    keys=frozenset({"prompt", "type", "Options", "images", "seed"}),
    selecting={"type": frozenset({"text"})},
    refused={"images": "it holds media", "seed": "it may not be chosen"},
    zero_is_off={"seed"},
)


def test_a_string_selects_only_under_its_key() -> None:
    assert WORDS.selects("type", "text")
    assert not WORDS.selects("type", "texts")
    assert not WORDS.selects("prompt", "text")
    assert not WORDS.selects(0, "text")


@pytest.mark.parametrize("key", ["Prompt", "PROMPT", "options", "type\0x", "\u017feed"])
def test_a_key_is_disguised_that_a_careless_reader_takes_for_another(key: str) -> None:
    assert WORDS.is_disguised(key)


@pytest.mark.parametrize("key", ["prompt", "Options", "prompts", "\0prompt", ""])
def test_a_key_of_the_api_or_of_nobody_is_not_disguised(key: str) -> None:
    assert not WORDS.is_disguised(key)


@pytest.mark.parametrize(
    ("key", "refused"),
    [
        ("images", "images"),
        ("IMAGES", "images"),
        ("images\0", "images"),
        ("prompt", ""),
        ("Options", ""),
        ("x", ""),
    ],
)
def test_a_refused_field_is_known_in_any_letters(key: str, refused: str) -> None:
    assert WORDS.stops_as(key) == refused


def test_a_refused_field_that_asks_for_nothing_may_stand() -> None:
    assert not WORDS.is_on("images", None)
    assert not WORDS.is_on("images", False)
    asking: tuple[object, ...] = (0, "", [], True)
    assert all(WORDS.is_on("images", value) for value in asking)
    assert not WORDS.is_on("seed", 0)
    assert WORDS.is_on("seed", 1)


def test_a_path_is_said_without_words_that_are_not_the_apis() -> None:
    assert WORDS.spoken(("prompt", 1, "sk-secret", "type")) == "prompt[1].*.type"
    assert WORDS.spoken(()) == "the body"


def test_a_refused_field_that_no_body_could_name_is_an_error_of_ours() -> None:
    with pytest.raises(ValueError, match="Images"):
        Words(keys=frozenset({"Images"}), refused={"Images": "it holds media"})
    with pytest.raises(ValueError, match="images"):
        Words(keys=frozenset(), refused={"images": "it holds media"})


def test_another_operation_may_read_what_chat_refuses() -> None:
    completions = replace(CHAT_WORDS, refused={k: v for k, v in CHAT_WORDS.refused.items() if k != "prompt"})
    assert CHAT_WORDS.stops_as("Prompt") == "prompt"
    assert completions.stops_as("Prompt") == ""
    assert completions.is_disguised("Prompt")
