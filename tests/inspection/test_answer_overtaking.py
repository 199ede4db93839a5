"""What of an answer goes out before the text in front of it is settled, and what waits."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.inspection.answer_pipes import MASKED, cut, pipe, stream_of, texts


def test_text_goes_out_as_soon_as_it_is_settled(kit: Any) -> None:
    p = pipe(kit)
    first, second, third = (
        stream_of(kit, [(0, "content", t)])[: -len(b"data: [DONE]\n\n")] for t in ("a ", "12", "3 ")
    )
    assert p.feed(first).release == first
    assert p.feed(second).release == b""
    assert p.feed(third).release == second + third


def test_everything_is_settled_before_the_event_that_ends_the_stream(kit: Any) -> None:
    p = pipe(kit)
    step = p.feed(stream_of(kit, [(0, "content", "1234")]))
    assert step.release.endswith(b"data: [DONE]\n\n")
    assert kit.heard(step.release) == {(0, "content"): "[NUMBER]"}
    last = p.finish()
    assert (last.release, last.is_last) == (b"", True)


def of(kit: Any, *said: tuple[str, str]) -> list[bytes]:
    return [bytes(kit.sse([kit.chunk(kit.delta(**{key: text}))], end=False)) for key, text in said]


@given(texts, texts, st.lists(st.integers(0, 30), max_size=4))
def test_an_answer_does_not_wait_for_the_reasoning_before_it(
    kit: Any, reasoning: str, content: str, at: list[int]
) -> None:
    p = pipe(kit)
    thought = [("reasoning_content", text) for text in cut(reasoning, at)]
    released = b"".join(p.feed(event).release for event in of(kit, *thought, ("content", "so ")))
    assert kit.heard(released)[0, "content"] == "so "
    rest = kit.run(p, [*of(kit, ("content", content)), b"data: [DONE]\n\n"])
    told = kit.heard(released + rest.data)
    for key, text in (("reasoning_content", reasoning), ("content", "so " + content)):
        assert told.get((0, key), "") == kit.masked_text(text, kit.scanner().scan(text), MASKED)


@given(texts, texts, st.integers(0, 30))
def test_reasoning_that_goes_on_after_all_is_masked_as_the_whole(
    kit: Any, first: str, second: str, at: int
) -> None:
    """However the model turns to and fro, a value that it began before is not told in pieces."""
    thought = [("reasoning_content", first), ("content", "so ")]
    again = [pair for text in cut(second, [at]) for pair in (("reasoning_content", text), ("content", "on "))]
    told = kit.heard(kit.run(pipe(kit), [*of(kit, *thought, *again), b"data: [DONE]\n\n"]).data)
    whole = first + second
    assert told.get((0, "reasoning_content"), "") == kit.masked_text(whole, kit.scanner().scan(whole), MASKED)
    assert told[0, "content"] == "so " + "on " * (len(again) // 2)


def test_only_what_waits_for_another_text_is_overtaken_and_the_end_stays_behind(kit: Any) -> None:
    p = pipe(kit)
    thought, answer = of(kit, ("reasoning_content", "11"), ("content", "a "))
    finish = bytes(kit.sse([kit.chunk({"index": 0, "delta": {}, "finish_reason": "stop"})], end=False))
    assert p.feed(thought).release == b""
    assert p.feed(answer).release == answer
    assert p.feed(finish).release == b""
    done = b"data: [DONE]\n\n"
    assert p.feed(done).release + p.finish().release == thought + finish + done


def test_every_word_of_the_answer_overtakes_what_its_reasoning_waits_for(kit: Any) -> None:
    p = pipe(kit)
    thought, *answer = of(kit, ("reasoning_content", "11"), ("content", "a "), ("content", "b "))
    assert p.feed(thought).release == b""
    assert [p.feed(word).release for word in answer] == answer


def test_a_stream_without_its_end_event_is_settled_when_it_ends(kit: Any) -> None:
    stream = kit.sse([kit.chunk(kit.delta(content="1234"))], end=False)
    assert kit.heard(kit.run(pipe(kit), [stream]).data) == {(0, "content"): "[NUMBER]"}
