"""How much of a request was there before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.core import likeness as core_likeness
from authz_service.core.likeness import MOST_COMPARED, Compared, Overlap, common_messages
from authz_service.core.likeness import likeness as likeness_of
from authz_service.model_apis.registry import operation_named

CHAT = ("openai_chat", "chat_completions")
RESPONSES = ("openai_responses", "responses")
EMBEDDINGS = ("openai_embeddings", "embeddings")


def chat(*texts: str, **more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": text} for text in texts], **more}).encode()


def compared(body: bytes, of: tuple[str, str] = CHAT) -> Compared:
    named = operation_named(*of)
    assert named is not None
    api, operation = named
    return core_likeness.compared(body, api.turn_places(operation))


def likeness(first: bytes, second: bytes) -> float:
    return likeness_of(compared(first), compared(second))


def test_likeness_goes_by_the_words_whatever_surrounds_them() -> None:
    one = chat("Delete the backups of last week, please.")
    assert likeness(one, one) == 1.0
    assert likeness(one, chat("delete THE backups of last week please", seed=7)) == 1.0
    assert 0.3 < likeness(one, chat("Delete the backups of last year, please.")) < 0.7
    assert likeness(one, chat("What is the weather like in Berlin today?")) == 0.0
    assert likeness(chat(), chat()) == 1.0
    assert likeness(b"\xff", b"{}") == 0.0
    assert likeness(chat("yes"), chat("yes", seed=1)) == 1.0


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        (chat("a", "b", "c"), chat("a", "b", "d"), 2),
        (chat("a", "b"), chat("a", "b", "c"), 2),
        (chat("x", "b"), chat("a", "b"), 0),
        (b'{"messages": [{"n": 1}]}', b'{"messages": [{"n": true}]}', 0),
        (b'{"messages": [{"n": 1, "m": 2}]}', b'{"messages":[{"m":2,"n":1}]}', 1),
        (b'{"messages": [{"n": 1}]}', b'{"messages": [{"n": 1.0}]}', 0),
        (b'{"messages": [{"n": 98765432109876543210}]}', b'{"messages": [{"n": 98765432109876543219}]}', 0),
        (
            b'{"messages": [{"n": 0.12345678901234567890}]}',
            b'{"messages": [{"n": 0.12345678901234567891}]}',
            0,
        ),
        (b'{"messages": [{"n": "1"}]}', b'{"messages": [{"n": 1}]}', 0),
        (b'{"input": ["a"]}', b'{"input": ["a", "b"]}', 0),
        (b'{"prompt": "a"}', b'{"prompt": "a"}', 0),
        (b"[]", b"no json", 0),
    ],
)
def test_messages_in_common_are_whole_and_counted_from_the_first(
    first: bytes, second: bytes, common: int
) -> None:
    one, other = compared(first), compared(second)
    assert common_messages(one, other) == common_messages(other, one) == common


def test_a_conversation_stands_where_its_api_has_one() -> None:
    before, now = b'{"input": ["a"]}', b'{"input": ["a", "b"], "messages": []}'
    for of in (RESPONSES, EMBEDDINGS):
        assert common_messages(compared(before, of), compared(now, of)) == 1
    said = b'[{"role": "user", "content": "a"}]'
    chat_, response = compared(b'{"messages": %b}' % said), compared(b'{"input": %b}' % said, RESPONSES)
    assert common_messages(chat_, response) == 0
    unknown = core_likeness.compared(before, None)
    assert common_messages(unknown, unknown) == 0


@pytest.mark.parametrize("of", [RESPONSES, EMBEDDINGS])
def test_messages_beside_a_conversation_of_another_name_say_nothing_of_its_turns(of: tuple[str, str]) -> None:
    """A caller adds `messages` to such a request: an unknown member, in which nobody looks for turns."""
    beside = {"model": "m", "messages": [{"role": "user", "content": "x"}] * 3}
    own, theirs = (
        compared(json.dumps({**beside, "input": said}).encode(), of)
        for said in (["wire the money", "now"], ["say hello"])
    )
    common = common_messages(own, theirs)
    assert common == 0
    assert not Overlap(own, theirs, common).has(("input", 0))
    assert likeness_of(own, theirs) == 0


def test_a_turn_was_approved_where_all_before_it_was_too_and_what_is_beside_is_the_same() -> None:
    own, theirs = (compared(chat("a", middle, "c", system=[{"text": "s", "n": 1}])) for middle in ("b", "x"))
    overlap = Overlap(own, theirs, common_messages(own, theirs))
    assert [overlap.has(("messages", at)) for at in range(3)] == [True, False, False]
    assert overlap.has(("system",))
    assert not overlap.has(("instructions",))


def test_likeness_goes_by_what_was_said_whatever_is_said_about_it() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": " ".join(map(str, range(9_000)))}}]
    assert (
        likeness(chat("Delete the backups, please."), chat("Delete the backups, please.", tools=tools)) == 1
    )
    assert likeness(chat("Delete the backups.", tools=tools), chat("What a day it is!", tools=tools)) == 0
    assert likeness(b'{"prompt": "Delete the backups."}', b'{"prompt": ["delete the backups"]}') == 1


def test_of_a_long_conversation_the_end_is_compared() -> None:
    long = " ".join(map(str, range(9_000)))
    asked, other = "Delete the backups of last week", "Tell me about the weather in Berlin"
    assert likeness(chat(long, asked), chat("Hi", asked)) < 0.1
    assert len(compared(chat(long, asked)).runs) < MOST_COMPARED
    assert ("delete", "the", "backups") in compared(chat(long, asked)).runs
    assert ("0", "1", "2") not in compared(chat(long, asked)).runs
    assert likeness(chat(long, asked), chat("before", long, asked)) == 1
    assert likeness(chat(long, asked), chat(long, other)) < 1


def test_what_is_compared_of_a_body_does_not_grow_with_it() -> None:
    assert len(compared(chat(*(f"a{n}" for n in range(100_000)))).runs) <= MOST_COMPARED / 2
    assert len(compared(" ".join(map(str, range(100_000))).encode()).runs) <= MOST_COMPARED / 2


COMPLETIONS = ("openai_completions", "completions")
OLLAMA = ("ollama", "generate")
TGI = ("tgi", "generate")
LLAMA = ("llamacpp", "completion")
INFER = ("open_inference", "infer")


@pytest.mark.parametrize(
    ("of", "first", "second", "common"),
    [
        (COMPLETIONS, {"prompt": "a", "max_tokens": 1}, {"prompt": "a", "max_tokens": 2}, 1),
        (COMPLETIONS, {"prompt": "a"}, {"prompt": "b"}, 0),
        (COMPLETIONS, {"prompt": "a", "suffix": "s"}, {"suffix": "s", "prompt": "a"}, 2),
        (COMPLETIONS, {"prompt": "a"}, {"prompt": ["a"]}, 0),
        (OLLAMA, {"prompt": "a", "system": "s"}, {"system": "s", "prompt": "b"}, 1),
        (OLLAMA, {"prompt": "a", "system": "s"}, {"system": "t", "prompt": "a"}, 0),
        (TGI, {"inputs": "a"}, {"inputs": "a"}, 1),
        (LLAMA, {"prompt": "a"}, {"prompt": "a"}, 1),
        (RESPONSES, {"input": "a"}, {"input": "a", "instructions": None}, 1),
        (INFER, {"inputs": [{"name": "p", "data": ["a"]}]}, {"inputs": [{"name": "p", "data": ["a"]}]}, 1),
        (INFER, {"inputs": [{"name": "p", "data": ["a"]}]}, {"inputs": [{"name": "p", "data": ["b"]}]}, 0),
    ],
)
def test_without_messages_the_texts_of_an_api_are_its_turns(
    of: tuple[str, str], first: Any, second: Any, common: int
) -> None:
    own, theirs = (compared(json.dumps(body).encode(), of) for body in (first, second))
    assert common_messages(own, theirs) == common


def test_a_text_was_approved_where_those_before_it_were_too() -> None:
    bodies = ({"prompt": prompt, "suffix": "s", "x": 1} for prompt in ("a", "b"))
    own, theirs = (compared(json.dumps(body).encode(), COMPLETIONS) for body in bodies)
    overlap = Overlap(own, theirs, common_messages(own, theirs))
    assert [overlap.has((name,)) for name in ("prompt", "suffix", "x")] == [False, False, True]


def test_it_says_whether_more_is_in_a_body_than_was_compared() -> None:
    for body, is_cut in (
        (chat("a" * (MOST_COMPARED - 1)), False),
        (chat("a" * (MOST_COMPARED + 1)), True),
        (chat("before", "a" * MOST_COMPARED), True),
        (chat("a", tools=["a" * MOST_COMPARED]), False),
        (b'"' + b"a" * MOST_COMPARED + b'"', False),
        (b"no json " * MOST_COMPARED, True),
    ):
        assert compared(body).is_cut is is_cut
