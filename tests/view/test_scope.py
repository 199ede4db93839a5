"""What a scope permits, and which words it is made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.view.scope import Scope, is_meant, is_word

CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("words", "asked", "is_permitted"),
    [
        ((), ("llama", "openai_chat", CHAT), False),
        (("model:llama",), ("llama", "openai_chat", CHAT), True),
        (("model:qwen",), ("llama", "openai_chat", CHAT), False),
        (("model:Llama",), ("llama", "openai_chat", CHAT), False),
        (("model:*",), ("llama", "anthropic", "/v1/messages"), True),
        (("api:openai_chat",), ("llama", "openai_chat", CHAT), False),
        (("path:*",), ("llama", "openai_chat", CHAT), False),
        (("model:llama", "api:anthropic"), ("llama", "openai_chat", CHAT), False),
        (("model:llama", "api:anthropic", "api:openai_chat"), ("llama", "openai_chat", CHAT), True),
        (("model:llama", "api:*"), ("llama", "openai_chat", CHAT), True),
        (("model:llama", f"path:{CHAT}"), ("llama", "openai_chat", CHAT), True),
        (("model:llama", "path:/v1/chat"), ("llama", "openai_chat", CHAT), False),
        (("model:llama", "path:/health"), ("llama", "openai_chat", CHAT), False),
    ],
)
def test_a_model_is_asked_by_ways_that_are_in_the_scope(
    words: tuple[str, ...], asked: tuple[str, str, str], is_permitted: bool
) -> None:
    scope = Scope.of(words)
    model, api, path = asked
    assert (scope.has_model(model) and scope.has_way(api, path)) is is_permitted


def test_a_model_has_its_name_and_those_that_it_is_asked_by() -> None:
    assert Scope.of(("model:gpt-4o",)).has_model("gpt-4o", "llama")
    assert Scope.of(("model:llama",)).has_model("gpt-4o", "llama")
    assert not Scope.of(("model:gpt-4o",)).has_model("llama", "llama")


def test_a_path_that_passes_unread_must_be_named() -> None:
    assert not Scope.of(("model:*", "api:*")).has_path("/health")
    assert Scope.of(("path:/health",)).has_path("/health")
    assert not Scope.of(("path:/health",)).has_path("/healthz")
    assert Scope.of(("path:*",)).has_path("/health")


@given(st.sets(st.sampled_from(["model:a", "model:*", "api:b", "api:*", "path:/c", "path:*"])))
def test_one_model_more_never_permits_less_and_one_way_more_only_among_ways(words: set[str]) -> None:
    scope, wider = Scope.of(words), Scope.of(words | {"model:z"})
    assert scope.has_model("a") <= wider.has_model("a")
    if scope.apis or scope.paths:
        assert scope.has_way("b", "/c") <= Scope.of(words | {"api:y"}).has_way("b", "/c")


@pytest.mark.parametrize(
    "word",
    [
        "",
        "model",
        "model:",
        "model:a b",
        "models:a",
        "MODEL:a",
        "tokens:0",
        "tokens:",
        "tokens:1e3",
        "api:\n",
    ],
)
def test_what_is_no_word_makes_no_scope(word: str) -> None:
    assert not is_word(word)
    with pytest.raises(ValueError, match="not a word"):
        Scope.of(("model:llama", word))


def test_words_of_others_are_told_from_ours_that_are_wrong() -> None:
    assert not any(map(is_meant, ("openid", "email", "api", "https://example.com/model:x", "")))
    assert all(map(is_meant, ("model:", "model:llama", "tokens:1000", "path:/x", "api:y")))


def test_of_several_budgets_the_lowest_counts() -> None:
    assert Scope.of(("model:*",)).tokens_per_day is None
    assert Scope.of(("model:*", "tokens:900", "tokens:500")).tokens_per_day == 500
