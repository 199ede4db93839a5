"""What somebody sees of a request of which a part is concealed from them, and what they may edit in it."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspection.anywhere import MARKS, changed

from authz_service.errors import Unreadable
from authz_service.inspection.concealed import ConcealedRequest, concealed_request, refused
from authz_service.inspection.concealed_edit import put_back
from authz_service.inspection.shown import MOST_VALUES
from authz_service.masking.detectors import build_scanner

WIRE = Path(__file__).parents[1] / "model_apis" / "wire"
SCANNER = build_scanner(custom=[], options={})
ENTITIES = frozenset({"EMAIL_ADDRESS", "CREDIT_CARD"})
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)


def body_of(*contents: Any, **more: Any) -> bytes:
    messages = [{"role": "user", "content": content} for content in contents]
    return json.dumps({"model": "llama", "messages": messages, **more}, indent=1).encode()


def concealed(body: bytes) -> ConcealedRequest:
    return concealed_request("openai_chat", "chat_completions", body, SCANNER, ENTITIES)


def refusal(work: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(Unreadable) as caught:
        work()
    return caught.value.code, str(caught.value)


def edited(body: bytes, change: Callable[[Any], object]) -> bytes:
    """What is put back into what `change` makes of the document that is shown."""
    seen = concealed(body)
    document = json.loads(seen.shown)
    change(document)
    return put_back(seen, body, json.dumps(document).encode())


def said(change: Callable[[str], str]) -> Callable[[Any], object]:
    def apply(document: Any) -> None:
        document["messages"][0]["content"] = change(document["messages"][0]["content"])

    return apply


TWO = body_of("Please mail ann@b.example and bo@c.example now, ann@b.example first.", "Then go.")


def test_the_same_value_has_the_same_placeholder_and_all_other_bytes_are_as_they_were() -> None:
    seen = concealed(TWO)
    expected = TWO.replace(b"ann@b.example", b"<EMAIL_ADDRESS_1>").replace(
        b"bo@c.example", b"<EMAIL_ADDRESS_2>"
    )
    assert (seen.shown, seen.counts) == (expected, {"EMAIL_ADDRESS": 3})
    assert concealed(body_of("Nothing here.")).counts == {}


def test_what_the_caller_wrote_like_a_placeholder_cannot_be_taken_for_one() -> None:
    seen = concealed(body_of("Mail ann@b.example for <EMAIL_ADDRESS_1> please"))
    assert b"Mail <EMAIL_ADDRESS_1> for <PLACEHOLDER_1> please" in seen.shown
    assert b"ann@b.example for <EMAIL_ADDRESS_1> now" in edited(
        body_of("Mail ann@b.example for <EMAIL_ADDRESS_1> now please"),
        said(lambda s: s.removesuffix(" please")),
    )


def test_what_no_detector_reads_is_not_shown_nor_its_digest() -> None:
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    seen = concealed(body_of([{"type": "text", "text": "What is this?"}, image]))
    assert b"base64" not in seen.shown
    assert seen.counts == {"CONTENT": 1}
    assert [(unread.kind, unread.sha256) for unread in seen.unread] == [("image", "")]


@pytest.mark.parametrize(
    "body",
    [
        body_of("hi", metadata={"ann@b.example": "x"}),
        body_of("hi", **{"ann@b.example": [1, 2]}),
        body_of([{"type": "text", "text": "hi", "ann@b.example": [1, 2]}]),
        body_of("hi", seed=4111111111111111),
        b"\xff",
        b"[1, 2]",
    ],
)
def test_nothing_is_shown_where_a_value_cannot_be_concealed(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        concealed(body)
    assert "ann@b" not in str(caught.value)
    assert "4111" not in str(caught.value)


def test_many_values_are_refused_before_anything_is_made_of_them() -> None:
    few, many = (body_of("x", foo=[True] * (MOST_VALUES - less)) for less in (20, 0))
    assert concealed(few).shown == few
    assert refusal(lambda: concealed(many)) == (
        "not_concealable",
        str(refused("it has 100,000 values or more, lists of numbers among them")),
    )


def test_the_places_of_values_deep_down_are_not_kept() -> None:
    deep = b"[" * 50 + b",".join([b"{}"] * 40_000) + b"]" * 50
    body = body_of("x")[:-1] + b',"foo":' + deep + b"}"
    tracemalloc.start()
    try:
        concealed(body)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 12 << 20  # 40,000 paths would take 18 MiB, and what is read takes 5


@pytest.mark.parametrize("token", ["4.111111111111111e15", "41111111111111110e-1", "4111111111111111.0"])
def test_a_number_is_read_as_its_readers_do_whatever_it_is_written_like(token: str) -> None:
    body = body_of("x", seed=7).replace(b'"seed": 7', b'"seed": ' + token.encode())
    assert refusal(lambda: concealed(body))[0] == "not_concealable"


def test_an_edit_that_is_too_deep_or_too_much_is_refused() -> None:
    body = body_of("to a@b.example")
    seen = concealed(body)

    def put(value: bytes) -> bytes:
        return put_back(seen, body, seen.shown[:-1] + b',"x":' + value + b"}")

    assert put(b"[" * 199 + b"]" * 199).startswith(b'{"model"')
    assert refusal(lambda: put(b"[" * 250 + b"]" * 250))[0] == "too_deep"
    assert refusal(lambda: put(json.dumps([0] * MOST_VALUES).encode()))[0] == "edit_too_large"


def test_arguments_and_numbers_are_concealed_and_stay_documents() -> None:
    arguments = json.dumps({"to": "ann@b.example", "card": 4111111111111111})
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    document = {"model": "llama", "messages": [{"role": "assistant", "tool_calls": [call]}], "max_tokens": 1}
    seen = json.loads(concealed(json.dumps(document).encode()).shown)
    shown = json.loads(seen["messages"][0]["tool_calls"][0]["function"]["arguments"])
    assert shown == {"to": "<EMAIL_ADDRESS_1>", "card": "<CREDIT_CARD_1>"}


def test_an_edit_elsewhere_has_every_value_again() -> None:
    after = edited(TWO, lambda document: document["messages"][1].update(content="Then stay."))
    assert json.loads(after) == json.loads(TWO.replace(b"Then go.", b"Then stay."))
    beside = edited(TWO, said(lambda s: "Kindly, " + s + " Thanks."))
    assert b"Kindly, Please mail ann@b.example and bo@c.example now, ann@b.example first. Thanks." in beside


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (said(lambda s: s.replace("<EMAIL_ADDRESS_2>", "x@y.example")), "<EMAIL_ADDRESS_2> must stay"),
        (said(lambda s: s.replace("<EMAIL_ADDRESS_1>", "", 1)), "<EMAIL_ADDRESS_1> must stay"),
        (said(lambda s: s.replace("_2>", "_3>")), "<EMAIL_ADDRESS_2> must stay"),
        (said(lambda s: s + " <EMAIL_ADDRESS_2>"), "<EMAIL_ADDRESS_2> stands once too often"),
        (said(lambda s: s + " <EMAIL_ADDRESS_9>"), "<EMAIL_ADDRESS_9> stands for what is concealed"),
        (said(lambda s: s.replace("mail <", "mail 4<")), "the words beside <EMAIL_ADDRESS_1>"),
        (said(lambda s: s.replace("> now", ">now")), "the words beside <EMAIL_ADDRESS_2>"),
        (said(lambda _: "gone"), "<EMAIL_ADDRESS_1> must stay"),
        (lambda d: d["messages"].pop(0), "<EMAIL_ADDRESS_1> must stay"),
        (lambda d: d["messages"].insert(0, {"role": "user", "content": "x"}), "must stay where it was"),
        (
            lambda d: d["messages"][1].update(content="to <EMAIL_ADDRESS_1>"),
            "has no place at /messages/1/content",
        ),
        (lambda d: d.update({"<EMAIL_ADDRESS_1>": 1}), "has no place at"),
        (lambda d: d.update(stop=["<CREDIT_CARD_1>"]), "has no place at /stop/0"),
    ],
)
def test_a_placeholder_stays_where_it_is_and_is_nowhere_else(
    change: Callable[[Any], object], why: str
) -> None:
    code, message = refusal(lambda: edited(TWO, change))
    assert code == "edit_concealed"
    assert why in message
    assert "ann@b" not in message


def test_what_is_not_shown_at_all_cannot_be_replaced() -> None:
    image = {"type": "image_url", "image_url": {"url": PIXEL}}
    body = body_of([{"type": "text", "text": "What is this?"}, image])

    def other(document: Any) -> None:
        document["messages"][0]["content"][1]["image_url"]["url"] = "https://x.example/a.png"

    assert refusal(lambda: edited(body, other))[0] == "edit_concealed"
    asked = edited(body, lambda d: d["messages"][0]["content"][0].update(text="And this?"))
    assert json.loads(asked) == json.loads(body.replace(b"What is", b"And"))


def test_a_value_that_goes_on_in_the_next_part_is_left_alone() -> None:
    parts = [{"type": "text", "text": "card 4111 1111"}, {"type": "text", "text": " 1111 1111 ok"}]
    body = body_of(parts)
    assert b"1111" not in concealed(body).shown

    def change(document: Any) -> None:
        document["messages"][0]["content"][1]["text"] += " then"

    assert refusal(lambda: edited(body, change))[0] == "edit_concealed"


WORDS = st.lists(
    st.sampled_from(["send", "the", "report", "äöü", '"quoted"', "to", "\n", "now."]), max_size=6
)
SECRETS = st.one_of(
    st.from_regex(r"[a-z]{3,8}@[a-z]{3,8}\.example", fullmatch=True),
    st.sampled_from(["4111 1111 1111 1111", "5555555555554444", "378282246310005"]),
)
TEXTS = st.lists(st.tuples(WORDS, SECRETS), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans())
def test_no_secret_is_in_what_is_shown_and_each_comes_back_as_it_was(
    conversation: list[list[tuple[list[str], str]]], escapes: bool
) -> None:
    texts = [
        " ".join(part for words, secret in text for part in (*words, secret)) + " end."
        for text in conversation
    ]
    messages = [{"role": "user", "content": text} for text in texts]
    document = {"model": "llama", "messages": messages, "temperature": 1.50}
    body = json.dumps(document, ensure_ascii=escapes).encode()
    seen = concealed(body)
    secrets = {secret for text in conversation for _, secret in text}
    assert not [secret for secret in secrets if secret.encode() in seen.shown]
    shown = json.loads(seen.shown)
    shown["messages"].append({"role": "user", "content": "Thank you."})
    after = json.loads(put_back(seen, body, json.dumps(shown).encode()))
    assert after["messages"][:-1] == messages


@pytest.mark.parametrize(
    ("api", "operation", "name"),
    [
        ("openai_chat", "chat_completions", "openai_request_everything.json"),
        ("anthropic", "messages", "anthropic_request_everything.json"),
        ("openai_responses", "responses", "responses_request_everything.json"),
    ],
)
def test_wherever_a_value_stands_it_is_not_shown_and_comes_back(api: str, operation: str, name: str) -> None:
    document = json.loads((WIRE / name).read_text())
    shown = 0
    for number, (where, other) in enumerate(changed(document)):
        if number % 5:  # all of them take long
            continue
        body = json.dumps(other).encode()
        try:
            seen = concealed_request(api, operation, body, SCANNER, ENTITIES)
        except Unreadable:
            continue
        shown += 1
        assert not any(mark in seen.shown for mark in MARKS), where
        assert json.loads(put_back(seen, body, seen.shown)) == other, where
    assert shown > 100
