"""What of a chat answer is paused when something else begins."""

from __future__ import annotations

from tests.model_apis.openai_chat_frames import Wire, call, channels, chunk, frames


def test_reasoning_is_paused_when_the_answer_begins(wire: Wire) -> None:
    read = frames(wire("vllm_stream_reasoning.sse"))
    texts = channels(read)
    assert texts["choices/0/reasoning"] == texts["choices/0/reasoning_content"] == "Thinking."
    assert texts["choices/0/content"] == "So it is"
    assert [frame.paused for frame in read] == [
        (),
        (),
        (),
        ("choices/0/reasoning", "choices/0/reasoning_content"),
        (),
    ]
    assert read[2].cleared == (("choices", 0, "token_ids"),)


def test_words_are_paused_when_a_tool_is_called() -> None:
    read = frames([chunk({"content": "Let me see"}), chunk(call(name="get_weather"))])
    assert read[1].paused == ("choices/0/content",)


def test_who_comes_back_is_not_paused_again() -> None:
    thought, said = chunk({"reasoning": "a"}), chunk({"content": "b"})
    read = frames([thought, said, thought, said, thought])
    assert [frame.paused for frame in read] == [(), ("choices/0/reasoning",), ("choices/0/content",), (), ()]


def test_what_is_heard_at_the_same_time_pauses_nothing() -> None:
    read = frames([chunk({"content": "a", "reasoning": "b"})] * 2)
    assert [frame.paused for frame in read] == [(), ()]


def test_the_choices_pause_apart() -> None:
    read = frames([chunk({"reasoning": "a"}), chunk({"content": "b"}, index=1)])
    assert read[1].paused == ()
