"""What the client receives equals the masking of the whole, however the answer was cut."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.model_apis.openai_chat import OpenAiChat

MASKED = frozenset({"NUMBER", "BLOCK", "ADDRESS"})
SCRAPS = [
    "1234",
    "56",
    "a@b",
    "@",
    "s3cr3t",
    "s3c",
    "r3t",
    " ",
    "<<",
    "<",
    ">>",
    ">",
    "word ",
    "é😀",
    '"\\\n',
    "x",
]
texts = st.lists(st.sampled_from(SCRAPS), max_size=10).map("".join)
FIELDS = [(0, "content"), (1, "content"), (2, "reasoning_content")]


def pipe(kit: Any, *, content_type: str = "text/event-stream", **others: Any) -> AnswerPipe:
    return answer_pipe(
        **{
            "api": OpenAiChat(),
            "request": kit.request,
            "content_type": content_type,
            "scanner": kit.scanner(),
            "masked_entities": MASKED,
            "max_body": 100_000,
            "max_depth": 16,
            **others,
        }
    )


def cut(whole: Any, at: list[int]) -> list[Any]:
    bounds = [0, *sorted(min(a, len(whole)) for a in at), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(bounds)]


@st.composite
def told(draw: st.DrawFn) -> tuple[dict[tuple[int, str], str], list[tuple[int, str, str]]]:
    """Whole texts of three channels, and their deltas, interleaved."""
    wholes = {f: draw(texts) for f in FIELDS}
    deltas = {
        f: [(*f, piece) for piece in cut(whole, draw(st.lists(st.integers(0, 30), max_size=4)))]
        for f, whole in wholes.items()
    }
    order = draw(st.permutations([f for f, pieces in deltas.items() for _ in pieces]))
    queues: dict[tuple[int, str], Iterator[tuple[int, str, str]]] = {f: iter(p) for f, p in deltas.items()}
    return wholes, [next(queues[f]) for f in order]


def stream_of(kit: Any, deltas: list[tuple[int, str, str]], together: int = 1) -> bytes:
    chunks: list[dict[int, Any]] = [{}]  # of choices by their index, each of which an event has once
    for index, key, text in deltas:
        if index in chunks[-1] or len(chunks[-1]) == together:
            chunks.append({})
        chunks[-1][index] = kit.delta(index, **{key: text})
    return bytes(kit.sse([kit.chunk(*choices.values()) for choices in chunks if choices]))


def masks_like_the_whole(kit: Any, story: Any, together: int, scanner: Any) -> None:
    wholes, deltas = story
    events = stream_of(kit, deltas, together).splitlines(keepends=True)
    released = kit.run(pipe(kit, scanner=scanner), events)
    expected = {f: kit.masked_text(t, kit.scanner().scan(t), MASKED) for f, t in wholes.items()}
    assert {f: t for f, t in kit.heard(released.data).items() if t} == {
        f: t for f, t in expected.items() if t
    }
    counts: dict[str, int] = {}
    for text in wholes.values():
        for finding in kit.scanner().scan(text):
            counts[finding.entity] = counts.get(finding.entity, 0) + 1
    assert released.found == counts


@given(told(), st.integers(1, 3))
def test_any_cut_of_the_text_into_deltas_gives_the_masking_of_the_whole(
    kit: Any, story: Any, together: int
) -> None:
    masks_like_the_whole(kit, story, together, kit.scanner())


def test_a_scanner_that_settles_too_early_breaks_that_property(kit: Any) -> None:
    secret = ({(0, "content"): "x 12345 y"}, [(0, "content", piece) for piece in ("x 12", "345", " y")])
    masks_like_the_whole(kit, secret, 1, kit.scanner())
    with pytest.raises(RuntimeError):
        masks_like_the_whole(kit, secret, 1, kit.scanner(too_early=2))


@given(told(), st.lists(st.integers(0, 2500), max_size=8))
def test_any_cut_of_the_bytes_gives_the_same_bytes_and_counts(kit: Any, story: Any, at: list[int]) -> None:
    stream = stream_of(kit, story[1])
    assert kit.run(pipe(kit), cut(stream, at)) == kit.run(pipe(kit), [stream])


@given(st.lists(st.tuples(st.booleans(), texts), max_size=8), st.lists(st.integers(0, 1800), max_size=8))
def test_frames_overtake_each_other_in_the_same_order_for_any_cut(
    kit: Any, said: list[tuple[bool, str]], at: list[int]
) -> None:
    stream = stream_of(kit, [(0, "reasoning_content" if aside else "content", text) for aside, text in said])
    assert kit.run(pipe(kit), cut(stream, at)) == kit.run(pipe(kit), [stream])


@given(told(), st.lists(st.integers(0, 2500), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_where_nothing_is_masked_the_bytes_are_those_of_the_model_server(
    kit: Any, story: Any, at: list[int], line_end: str
) -> None:
    stream = stream_of(kit, story[1]).replace(b"\n", line_end.encode())
    assert kit.run(pipe(kit, masked_entities=frozenset()), cut(stream, at)).data == stream


@given(told())
def test_only_the_events_that_a_mask_touches_are_written_anew(kit: Any, story: Any) -> None:
    before = stream_of(kit, story[1]).split(b"\n\n")
    after = kit.run(pipe(kit), [stream_of(kit, story[1])]).data.split(b"\n\n")
    assert len(before) == len(after)
    for old, new in zip(before, after, strict=True):
        if old != new:
            assert json.loads(old[6:])["choices"] != json.loads(new[6:])["choices"]


@given(texts, st.lists(st.integers(0, 300), max_size=4))
def test_a_whole_body_is_masked_like_a_stream(kit: Any, text: str, at: list[int]) -> None:
    message = {"role": "assistant", "content": text}
    body = json.dumps(
        {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "x": 1.50}
    ).encode()
    released = kit.run(pipe(kit, content_type="application/json"), cut(body, at))
    masked = kit.masked_text(text, kit.scanner().scan(text), MASKED)
    assert json.loads(released.data)["choices"][0]["message"]["content"] == masked
    if masked == text:
        assert released.data == body


def test_a_placeholder_stands_where_the_finding_begins_and_the_rest_is_gone(kit: Any) -> None:
    stream = stream_of(kit, [(0, "content", t) for t in ("no ", "12", "34", "56 ", "end")])
    released = kit.run(pipe(kit), [stream])
    said = [
        json.loads(e[6:])["choices"][0]["delta"]["content"] for e in released.data.decode().split("\n\n")[:5]
    ]
    assert said == ["no ", "[NUMBER]", "", " ", "end"]
    assert released.masked == {"NUMBER": 1}


def test_text_goes_out_as_soon_as_it_is_settled(kit: Any) -> None:
    p = pipe(kit)
    first, second, third = (
        stream_of(kit, [(0, "content", t)])[: -len(b"data: [DONE]\n\n")] for t in ("a ", "12", "3 ")
    )
    assert p.feed(first).release == first
    assert p.feed(second).release == b""
    assert p.feed(third).release == second + third


def test_a_finding_is_counted_before_its_bytes_are_released(kit: Any) -> None:
    p = pipe(kit, masked_entities=frozenset())
    held = stream_of(kit, [(0, "content", "s3cr3t")])[: -len(b"data: [DONE]\n\n")]
    assert p.feed(held).release == b""
    step = p.feed(stream_of(kit, [(0, "content", " ")])[: -len(b"data: [DONE]\n\n")])
    assert step.found == {"SECRET": 1}
    assert held in step.release


def test_a_region_is_masked_while_it_goes_on_and_nothing_of_it_is_held(kit: Any) -> None:
    p = pipe(kit)
    for i, text in enumerate(["key << ", "AAAA ", "BBBB ", "CCCC "]):
        step = p.feed(kit.sse([kit.chunk(kit.delta(content=text))], end=False))
        assert kit.heard(step.release) == {(0, "content"): "key [BLOCK]" if i == 0 else ""}
    rest = p.feed(kit.sse([kit.chunk(kit.delta(content=">> after"))]))
    assert kit.heard(rest.release + p.finish().release) == {(0, "content"): " after"}


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


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (b"data: {\n\n", "invalid_json"),
        (b"data: hello\n\n", "invalid_json"),
        (b'data: {"choices":[],"choices":[]}\n\n', "duplicate_key"),
        (b'data: {"choices":[{"index":0,"delta":{"content":"\\ud800"}}]}\n\n', "lone_surrogate"),
        (b"data: " + b"[" * 99 + b"]" * 99 + b"\n\n", "too_deep"),
        (b'data: {"choices":[', "truncated_stream"),
        (b"data: [DONE]\n\ndata: {}\n\n", "unreadable_answer"),
        (b"data: [DONE]\n\ndata: [DONE]\n\n", "unreadable_answer"),
        (b"data: \xff\n\n", "invalid_utf8"),
        (b"data: 5\n\n", "unreadable_answer"),
        (b"data: " + b"x" * 200_000, "event_too_large"),
    ],
)
def test_what_cannot_be_read_ends_the_stream_and_nothing_queued_is_flushed(
    kit: Any, stream: bytes, code: str
) -> None:
    p = pipe(kit)
    assert p.feed(kit.sse([kit.chunk(kit.delta(content="12345"))], end=False)).release == b""
    with pytest.raises(Unreadable) as refused:
        kit.run(p, [stream])
    assert (refused.value.code, refused.value.status) == (code, 502)
    with pytest.raises(RuntimeError):
        p.feed(b"data: [DONE]\n\n")
    with pytest.raises(RuntimeError):
        p.finish()


def test_a_finished_pipe_takes_nothing_more(kit: Any) -> None:
    p = pipe(kit)
    p.finish()
    with pytest.raises(RuntimeError):
        p.feed(b"x")


def test_more_held_bytes_than_the_limit_end_the_stream(kit: Any) -> None:
    p = pipe(kit, max_body=2000)
    events = kit.sse([kit.chunk(kit.delta(content="1"))] * 50, end=False)
    with pytest.raises(Unreadable) as refused:
        p.feed(events)
    assert refused.value.code == "buffer_overflow"


def test_more_texts_under_way_than_the_limit_end_the_answer(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authz_service.inspection.frames.MOST_CHANNELS", 5)
    stream = kit.sse([kit.chunk(kit.delta(**{f"unknown{i}": "x" for i in range(6)}))])
    with pytest.raises(Unreadable) as refused:
        kit.run(pipe(kit), [stream])
    assert refused.value.code == "buffer_overflow"


def test_a_whole_body_over_the_limit_is_refused(kit: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        pipe(kit, content_type="application/json", max_body=10).feed(b"x" * 11)
    assert (refused.value.code, refused.value.status) == ("answer_too_large", 502)


@pytest.mark.parametrize(
    "content_type", ["", "text/html", "application/x-ndjson", "text/event-stream; charset=utf-16"]
)
def test_an_answer_that_is_neither_json_nor_a_stream_is_refused(kit: Any, content_type: str) -> None:
    with pytest.raises(Unreadable) as refused:
        pipe(kit, content_type=content_type)
    assert (refused.value.code, refused.value.status) == ("unreadable_answer", 502)


def test_an_answer_without_a_body_is_nothing_to_read(kit: Any) -> None:
    for content_type in ("application/json", "text/event-stream"):
        released = kit.run(pipe(kit, content_type=content_type), [])
        assert released.data == b""


def test_what_no_one_judges_does_not_cross(kit: Any) -> None:
    data = json.dumps(kit.chunk(kit.delta(content="hi "))).encode()
    stream = (
        b": comment 1234\n\nid: 1234\nretry: 5\n\nevent: 1234\ndata: "
        + data
        + b"\n\n: x\ndata: "
        + data
        + b"\n\n"
        b"event: alone\n\n: y\ndata: [DONE]\n\n: z\n\n"
    )
    event = b"data: " + data + b"\n\n"
    assert kit.run(pipe(kit), [stream]).data == event + event + b"data: [DONE]\n\n"


def test_an_empty_comment_which_keeps_a_connection_open_crosses_at_once(kit: Any) -> None:
    piece = kit.sse([kit.chunk(kit.delta(content="hi "))], end=False)
    stream = b":\n\n" + piece + b":\n\n:\r\n\r\n" + piece + b"data: [DONE]\n\n"
    assert kit.run(pipe(kit), [stream]).data == stream
    assert pipe(kit).feed(b":\n\n").release == b":\n\n"


def test_an_event_name_of_the_dialect_crosses_and_is_kept_when_the_event_is_edited(kit: Any) -> None:
    api = OpenAiChat()
    api.event_names = frozenset({"message"})
    event = b"event: message\ndata: " + json.dumps(kit.chunk(kit.delta(content="1234 "))).encode() + b"\n\n"
    assert kit.run(pipe(kit, api=api, masked_entities=frozenset()), [event]).data == event
    assert kit.run(pipe(kit, api=api), [event]).data == event.replace(b"1234", b"[NUMBER]")


def test_data_over_several_lines_is_one_document_and_is_edited_as_one(kit: Any) -> None:
    data = json.dumps(kit.chunk(kit.delta(content="1234 ")), indent=1)
    event = ("".join(f"data: {line}\r\n" for line in data.split("\n")) + "\r\n").encode()
    assert kit.run(pipe(kit, masked_entities=frozenset()), [event]).data == event
    edited = kit.run(pipe(kit), [event]).data
    assert edited == event.replace(b"1234", b"[NUMBER]").replace(b"\r\n", b"\n")


def test_an_event_with_empty_data_carries_nothing_and_passes(kit: Any) -> None:
    assert kit.run(pipe(kit), [b"data:\n\ndata: [DONE]\n\n"]).data == b"data:\n\ndata: [DONE]\n\n"


def test_text_that_is_not_read_is_cleared(kit: Any) -> None:
    choice = {**kit.delta(content="hi "), "logprobs": {"content": [{"token": "1234", "bytes": [49]}]}}
    released = kit.run(pipe(kit), [kit.sse([kit.chunk(choice)])])
    assert b'"logprobs":null' in released.data
    assert b"1234" not in released.data


def test_the_last_usage_is_told(kit: Any) -> None:
    p = pipe(kit)
    step = p.feed(kit.sse([kit.chunk(usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7})]))
    assert step.usage is not None
    assert (step.usage.prompt_tokens, step.usage.completion_tokens) == (3, 4)


def test_a_finding_in_a_key_that_must_be_masked_ends_the_answer(kit: Any) -> None:
    stream = kit.sse([kit.chunk(kit.delta(extra={"a@b": "x"}))])
    with pytest.raises(Unreadable) as refused:
        kit.run(pipe(kit), [stream])
    assert refused.value.code == "unmaskable"
    assert "a@b" not in str(refused.value)
    assert kit.run(pipe(kit, masked_entities=frozenset()), [stream]).found == {"ADDRESS": 1}


def test_every_string_of_an_error_body_is_masked(kit: Any) -> None:
    body = b'{"detail":[{"loc":["body",0],"msg":"bad 1234","input":{"to":"a@b"}}],"n": 1.50}'
    released = kit.run(pipe(kit, content_type="application/json", is_error=True), [body])
    assert released.data == body.replace(b"1234", b"[NUMBER]").replace(b"a@b", b"[ADDRESS]")
    assert released.found == {"NUMBER": 1, "ADDRESS": 1}


def test_a_key_of_an_error_body_that_must_be_masked_ends_it(kit: Any) -> None:
    with pytest.raises(Unreadable) as refused:
        kit.run(pipe(kit, content_type="application/json", is_error=True), [b'{"a@b":1}'])
    assert refused.value.code == "unmaskable"


def test_what_comes_with_every_event_is_masked_in_every_event(kit: Any) -> None:
    events = [kit.chunk(kit.delta(content="x"), id=name) for name in ("a", "1234", "a", "1234", "1234 a@b")]
    released = kit.run(pipe(kit), [kit.sse(events)])
    ids = [json.loads(line[6:])["id"] for line in released.data.decode().split("\n\n") if '"id"' in line]
    assert ids == ["a", "[NUMBER]", "a", "[NUMBER]", "[NUMBER] [ADDRESS]"]


@pytest.mark.parametrize("is_error", [False, True])
def test_a_large_number_beside_the_choices_or_in_an_error_is_masked(kit: Any, is_error: bool) -> None:
    document = {"choices": [], "note": 12345678, "code": 429}
    reading = pipe(kit, content_type="application/json", is_error=is_error)
    released = kit.run(reading, [json.dumps(document).encode()])
    assert json.loads(released.data) == {"choices": [], "note": "[NUMBER]", "code": 429}
