"""A text that is complete when it comes is masked as a channel that says the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.complete import MOST_REMEMBERED, CompleteTexts
from authz_service.inspection.results import AnswerPipe
from authz_service.inspection.tally import Tally
from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Progress, Scanner
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.view.answer import AnswerField
from authz_service.view.request import TextKind

MASKED = frozenset({"EMAIL_ADDRESS", "CREDIT_CARD", "PRIVATE_KEY"})
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq"


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return build_scanner()


class Texts(CompleteTexts):
    """With what they count."""

    def __init__(self, scanner: Scanner) -> None:
        self.found = Tally()
        self.replaced = Tally()
        super().__init__(scanner, MASKED, found=self.found, masked=self.replaced)

    def masked(self, text: str, kind: TextKind) -> str | None:
        """What goes out in place of a text."""
        edits = self.edits(field(text, kind))
        return None if edits is None else edits["t",]


def field(text: str, kind: TextKind = TextKind.PLAIN, *, is_number: bool = False) -> AnswerField:
    return AnswerField("", ("t",), text, kind, is_number=is_number)


def pipe(kit: Any, scanner: Scanner, content_type: str, entities: frozenset[str] = MASKED) -> AnswerPipe:
    return answer_pipe(
        api=OpenAiChat(),
        request=kit.request,
        content_type=content_type,
        scanner=scanner,
        masked_entities=entities,
        max_body=100_000,
        max_depth=16,
    )


def answer(kit: Any, scanner: Scanner, message: dict[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
    """The message of a whole answer as it goes out, and what was found in it."""
    body = json.dumps({"choices": [{"index": 0, "message": message}]}).encode()
    released = kit.run(pipe(kit, scanner, "application/json"), [body])
    said: dict[str, Any] = json.loads(released.data)["choices"][0]["message"]
    return said, released.found


def call(arguments: str) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"arguments": arguments}}]}


values = st.lists(
    st.sampled_from(
        ["jane@example.com", "4111 1111 1111 1111", PEM, "x", " ", '"', "\\", "é", "1", "\n", "{"]
    )
).map("".join)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(values, values | st.just(4111111111111111), max_size=3), st.booleans(), st.integers(0, 9)
)
def test_the_arguments_of_a_whole_answer_are_masked_as_those_of_a_stream(
    kit: Any, scanner: Scanner, document: dict[str, Any], is_ascii: bool, less: int
) -> None:
    text = json.dumps(document, ensure_ascii=is_ascii)
    text = text[: len(text) - less]
    pieces = [kit.delta(**call(piece)) for piece in (text[:5], text[5:])]
    streamed = kit.run(
        pipe(kit, scanner, "text/event-stream"), [kit.sse([kit.chunk(piece) for piece in pieces])]
    )
    told = [
        json.loads(event[6:])["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
        for event in streamed.data.split(b"\n\n")
        if event.startswith(b"data: {")
    ]
    said, found = answer(kit, scanner, call(text))
    assert said["tool_calls"][0]["function"]["arguments"] == "".join(told)
    assert found == streamed.found


def test_arguments_with_a_secret_in_escapes_or_as_a_number_stay_json(kit: Any, scanner: Scanner) -> None:
    text = '{"to":"jan\\u0065@example.com","n":4111111111111111}'
    said, _ = answer(kit, scanner, call(text))
    told = json.loads(said["tool_calls"][0]["function"]["arguments"])
    assert told == {"to": "[EMAIL_ADDRESS]", "n": "[CREDIT_CARD]"}


def test_a_key_without_its_end_is_one_finding(kit: Any, scanner: Scanner) -> None:
    assert answer(kit, scanner, call(f"no json {PEM}"))[1] == {"PRIVATE_KEY": 1}
    assert answer(kit, scanner, {"content": f"so {PEM}"}) == (
        {"content": "so [PRIVATE_KEY]"},
        {"PRIVATE_KEY": 1},
    )


def test_what_is_harmless_as_words_may_hold_a_secret_as_json(kit: Any, scanner: Scanner) -> None:
    texts = Texts(scanner)
    text = '"4111111\\ud835\\udfcf 11111111"'  # a digit beyond U+FFFF, as JSON writes it
    assert texts.masked(text, TextKind.PLAIN) is None
    assert texts.masked(text, TextKind.JSON) == '"[CREDIT_CARD]"'
    assert texts.found.take() == texts.replaced.take() == {"CREDIT_CARD": 1}
    said, _ = answer(kit, scanner, {"content": text, **call(text)})
    assert said["content"] == text
    assert said["tool_calls"][0]["function"]["arguments"] == '"[CREDIT_CARD]"'


def test_texts_of_one_whole_answer_that_share_a_channel_are_one_text(kit: Any) -> None:
    item = {"function": {"arguments": "no 12"}, "custom": {"arguments": "345 no"}}
    body = json.dumps({"choices": [{"index": 0, "message": {"tool_calls": [item]}}]}).encode()
    released = kit.run(pipe(kit, kit.scanner(), "application/json", frozenset({"NUMBER"})), [body])
    assert released.data == body.replace(b"12", b"[NUMBER]", 1).replace(b"345", b"", 1)
    assert released.found == {"NUMBER": 1}


def test_few_texts_are_remembered_and_short_ones_only(kit: Any) -> None:
    texts = Texts(kit.scanner())
    names = [f"t{i}" for i in range(MOST_REMEMBERED + 10)]
    assert texts.masked("x" * 10_000, TextKind.PLAIN) is None
    assert [texts.masked(name, TextKind.PLAIN) for name in names] == [None] * len(names)
    remembered = [name for name in names if texts.is_harmless(field(name))]
    assert remembered == names[:MOST_REMEMBERED]
    assert not texts.is_harmless(field(names[0], TextKind.JSON))
    assert not texts.is_harmless(field("x" * 10_000))


def test_what_was_found_is_never_taken_for_harmless(kit: Any) -> None:
    texts = Texts(kit.scanner())
    for _ in range(2):
        texts.masked("a 1234", TextKind.PLAIN)
    assert texts.found.take() == {"NUMBER": 2}
    assert not texts.is_harmless(field("a 1234"))


def test_readings_of_a_number_are_remembered_for_no_text_that_says_the_same(kit: Any) -> None:
    texts = Texts(kit.scanner())
    texts.edits(field("1", is_number=True))
    texts.edits(field("1\n2", is_number=True))
    assert texts.is_harmless(field("1"))
    assert not texts.is_harmless(field("1\n2"))
    texts.edits(field("1\n2"))
    assert not texts.is_harmless(field("1\n2", is_number=True))


class InPieces:
    """Finds a region that comes in two pieces."""

    entities = MASKED

    def scan(self, text: str, *, embedded_json: bool = False) -> tuple[Finding, ...]:
        raise NotImplementedError

    def incremental(self, *, embedded_json: bool = False) -> InPieces:
        return self

    def feed(self, text: str) -> Progress:
        raise NotImplementedError

    def finish(self, text: str = "") -> Progress:
        pieces = (Finding("PRIVATE_KEY", 1, 3), Finding("PRIVATE_KEY", 3, 5))
        return Progress(pieces, len(text), frozenset({1}))


def test_a_finding_in_pieces_is_counted_once() -> None:
    texts = Texts(InPieces())
    assert texts.masked("abcdef", TextKind.JSON) == "a[PRIVATE_KEY]f"
    assert texts.found.take() == texts.replaced.take() == {"PRIVATE_KEY": 1}
