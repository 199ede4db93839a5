"""What the client receives equals the masking of the whole, however the answer was cut."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inspection.answer_pipes import MASKED, cut, pipe, stream_of, texts, told


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
