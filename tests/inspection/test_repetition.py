"""An event that is the last one with another text goes the short way, and nobody can tell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspection.repeated_events import ReadsAll, events, pipe, said_in, steps

from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.view.answer import AnswerField, AnswerFrame


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_what_goes_out_is_the_same_as_if_every_event_were_read(kit: Any, data: st.DataObject) -> None:
    stream = data.draw(st.lists(events(kit), max_size=16))
    together = data.draw(st.integers(1, 8))
    pieces = [b"".join(stream[i : i + together]) for i in range(0, len(stream), together)]
    pieces += data.draw(st.sampled_from([[], [b"data: [DONE]\n\n"], [b"data: [DONE]\n\n", *stream[-1:]]]))
    assert steps(pipe(kit, OpenAiChat()), pieces) == steps(pipe(kit, ReadsAll()), pieces)


def counted(kit: Any, stream: list[bytes], monkeypatch: pytest.MonkeyPatch) -> int:
    """How many events of a stream are parsed."""
    parsed: list[bytes] = []

    def read_json(data: bytes, *, max_depth: int) -> object:
        parsed.append(data)
        return json.loads(data)

    monkeypatch.setattr("authz_service.inspection.frames.read_json", read_json)
    kit.run(pipe(kit, OpenAiChat()), stream)
    return len(parsed)


def test_of_events_that_differ_in_their_text_one_is_parsed(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(kit, said_in(kit, ["a ", "b\n", "é", '"', "12345 ", "d"]), monkeypatch) == 1


def test_after_another_event_the_next_is_parsed_again(kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = said_in(kit, ["a ", "b "]) + said_in(kit, ["c ", "d "], id="x") + said_in(kit, ["e "])
    assert counted(kit, stream, monkeypatch) == 3
    begins = bytes(kit.sse([kit.chunk(kit.delta(role="assistant"))], end=False))
    assert counted(kit, [*stream[:2], begins, *stream[:2]], monkeypatch) == 3


def test_an_event_with_a_finding_beside_its_text_is_parsed_each_time(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in such an event is counted, and masked, in each."""
    assert counted(kit, said_in(kit, ["a ", "b "], id="s3cr3t"), monkeypatch) == 2
    assert counted(kit, said_in(kit, ["a ", "b "], id="a@b"), monkeypatch) == 2


class Clears:
    """A reader that promises too much: what has to be cleared is in every frame."""

    def read(self, document: object) -> AnswerFrame:
        """A text, and beside it what may not cross."""
        text = AnswerField("c", ("text",), "x ")
        return AnswerFrame((text,), cleared=(("logprobs",),), repeats=True)


def test_what_has_to_be_cleared_is_cleared_in_every_event(kit: Any) -> None:
    api = OpenAiChat()
    api.answer_reader = lambda request: Clears()  # type: ignore[method-assign]
    event = b'data: {"text":"x ","logprobs":"y"}\n\n'
    assert kit.run(pipe(kit, api), [event] * 3).data == event.replace(b'"y"', b"null") * 3


class SaysTwo:
    """A reader that promises too much: what it repeats has two texts."""

    def read(self, document: Any) -> AnswerFrame:
        """Both."""
        return AnswerFrame(tuple(AnswerField(key, (key,), document[key]) for key in ("a", "b")), repeats=True)


def test_of_two_texts_both_are_read_in_every_event(kit: Any) -> None:
    api = OpenAiChat()
    api.answer_reader = lambda request: SaysTwo()  # type: ignore[method-assign]
    event = b'data: {"a":"x ","b":"1234 "}\n\n'
    assert kit.run(pipe(kit, api), [event] * 3).data == event.replace(b"1234", b"[NUMBER]") * 3
