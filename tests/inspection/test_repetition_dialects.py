"""In every dialect an event that is the last one but for what may vary goes the short way, unseen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspection.dialects.repeating import ODD, STREAMS, USUAL, Repeating, filled

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.masking.detectors import build_scanner
from authz_service.masking.placeholders import EVERYWHERE, Placeholders
from authz_service.view.answer import AnswerFrame
from authz_service.view.request import RequestView

MASKED = frozenset({"NUMBER", "ADDRESS"})
each_stream = pytest.mark.parametrize("stream", STREAMS, ids=repr)

words = st.sampled_from(
    [b"12", b"345 ", b"a@b", b"x ", b"x ", b"y", b"s3cr3t", b"<NAME_1>", b"<NA", "é😀".encode()]
)
strange = st.sampled_from(
    [b"", b"\\n", b'\\"', b"\\\\", b'"', b"\\u0031", b"\\ud83d", b'","x":"', b"\n", b"\xff", b"\\q"]
)
said = st.lists(words, min_size=1, max_size=3).map(b"".join)


class ReadsAll:
    """A dialect without the promise that lets an event go unread."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    def answer_reader(self, request: RequestView) -> Any:
        reader = self._api.answer_reader(request)

        class Reader:
            def read(self, document: object) -> AnswerFrame:
                frame: AnswerFrame = reader.read(document)
                return frame._replace(repeats=False)

        return Reader()


def pipe(stream: Repeating, api: Any, scanner: Any, masked: frozenset[str], **options: Any) -> AnswerPipe:
    limits = {"max_body": 100_000, "max_depth": 16} | options
    return answer_pipe(
        api=api,
        request=stream.request,
        content_type=stream.content_type,
        scanner=scanner,
        masked_entities=masked,
        **limits,
    )


def steps(p: AnswerPipe, pieces: Sequence[bytes]) -> list[object]:
    """What each piece released, found and masked; the code of an error ends it."""
    taken: list[object] = []
    try:
        taken.extend(p.feed(piece) for piece in pieces)
        taken.append(p.finish())
    except Unreadable as error:
        taken.append(error.code)
    return taken


@st.composite
def streams(draw: st.DrawFn, of: Repeating) -> list[bytes]:
    """Most events are like the one before them, some are odd in one thing; they come in pieces."""
    events = [of.framed(document) for document in of.opening]
    for _ in range(draw(st.integers(1, 4))):
        template = draw(st.sampled_from(of.templates))
        marks = [mark for mark in USUAL if mark.encode() in template]
        for _ in range(draw(st.integers(1, 6)) + draw(st.sampled_from([0, 0, 0, 6]))):
            values = {mark: draw(st.sampled_from(USUAL[mark])) for mark in marks}
            text, at = draw(said), draw(st.integers(0, 12))
            if at == 0:
                text += draw(strange)
            elif at == 1 and marks:
                odd = draw(st.sampled_from(marks))
                values[odd] = draw(st.sampled_from(ODD[odd]))
            events.append(of.framed(filled(template, text, values)))
        if of.turns and draw(st.integers(0, 2)) == 0:
            events.append(of.framed(draw(st.sampled_from(of.turns))))
    together = draw(st.integers(1, 8))
    return [b"".join(events[i : i + together]) for i in range(0, len(events), together)]


def placeholders() -> Placeholders:
    made = Placeholders({"NAME": EVERYWHERE})
    made.name("NAME", "jane@doe 12345")
    return made


@each_stream
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_goes_out_is_the_same_as_if_every_event_were_read(
    kit: Any, stream: Repeating, data: st.DataObject
) -> None:
    pieces = data.draw(streams(stream))
    options: dict[str, Any] = {"max_body": data.draw(st.sampled_from([100_000, 100_000, 400]))}
    if data.draw(st.booleans()):
        options["placeholders"] = placeholders()
    short = steps(pipe(stream, stream.api, kit.scanner(), MASKED, **options), pieces)
    assert short == steps(pipe(stream, ReadsAll(stream.api), kit.scanner(), MASKED, **options), pieces)


REAL = build_scanner()


@each_stream
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_so_it_is_with_all_detectors(stream: Repeating, data: st.DataObject) -> None:
    pieces = data.draw(streams(stream))
    short = steps(pipe(stream, stream.api, REAL, REAL.entities), pieces)
    assert short == steps(pipe(stream, ReadsAll(stream.api), REAL, REAL.entities), pieces)


def parsed_of(
    kit: Any, stream: Repeating, events: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> list[bytes]:
    """Which documents of a stream are parsed, without those that open it."""
    parsed: list[bytes] = []

    def read_json(data: bytes, *, max_depth: int) -> object:
        parsed.append(data)
        return json.loads(data)

    monkeypatch.setattr("authz_service.inspection.frames.read_json", read_json)
    opening = [stream.framed(document) for document in stream.opening]
    kit.run(pipe(stream, stream.api, kit.scanner(), MASKED), [b"".join([*opening, *events])])
    return parsed[len(opening) :]


@each_stream
def test_of_events_that_differ_in_what_may_vary_one_is_parsed(
    kit: Any, stream: Repeating, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = stream.templates[0]
    events = [
        stream.framed(filled(template, text, {mark: USUAL[mark][-1 - at % 3] for mark in USUAL}))
        for at, text in enumerate([b"a ", b"b\\n", "é".encode(), b'\\"', b"12345 ", b"d"])
    ]
    assert len(parsed_of(kit, stream, events, monkeypatch)) == 1


VARYING = [
    (stream, mark, odd)
    for stream in STREAMS
    for mark in USUAL
    if mark.encode() in stream.templates[0]
    for odd in ODD[mark]
]


@pytest.mark.parametrize(("stream", "mark", "odd"), VARYING)
def test_an_event_in_which_it_has_another_form_or_a_finding_is_not_taken_for_one(
    kit: Any, stream: Repeating, mark: str, odd: bytes
) -> None:
    """Whatever becomes of it: what comes after it, and is like the first, comes out as it would."""
    template = stream.templates[0]
    plain = [stream.framed(filled(template, text, {})) for text in (b"a ", b"12", b"34 b ")]
    pieces = [*map(stream.framed, stream.opening), b"".join(plain[:2])]
    pieces += [stream.framed(filled(template, b"5 ", {mark: odd})), b"".join(plain)]
    short = steps(pipe(stream, stream.api, kit.scanner(), MASKED), pieces)
    assert short == steps(pipe(stream, ReadsAll(stream.api), kit.scanner(), MASKED), pieces)


def test_what_shadows_a_text_that_is_cut_becomes_null_in_its_own_event_only(kit: Any) -> None:
    """Of events that came together, too."""
    (tgi,) = (stream for stream in STREAMS if stream.operation == "generate_stream")
    texts = [b"a ", b"b ", b"12", b"34", b" c ", b"d "]
    counts = [b"%d" % at for at in range(len(texts))]
    events = [
        tgi.framed(filled(tgi.templates[0], text, {"@count": count}))
        for text, count in zip(texts, counts, strict=True)
    ]
    for pieces in ([b"".join(events)], events):
        out = kit.run(pipe(tgi, tgi.api, kit.scanner(), MASKED), pieces).data.split(b"\n\n")[:-1]
        tokens = [json.loads(event[6:])["token"] for event in out]
        assert [token["text"] for token in tokens] == ["a ", "b ", "[NUMBER]", "", " c ", "d "]
        assert [token["id"] for token in tokens] == [0, 1, None, None, 4, 5]
        assert [token["logprob"] is None for token in tokens] == [at in (2, 3) for at in range(6)]
        assert [out[at] + b"\n\n" for at in (0, 1, 4, 5)] == [events[at] for at in (0, 1, 4, 5)]


WITH_ASIDES = [stream for stream in STREAMS if b'"@aside;"' in stream.templates[0]]


@pytest.mark.parametrize("aside", [b"call 12345", b"a@b", b"x" * 300 + b"12345"])
@pytest.mark.parametrize("stream", WITH_ASIDES, ids=repr)
def test_what_is_found_beside_the_text_counts_in_every_event_though_it_stays_the_same(
    kit: Any, stream: Repeating, aside: bytes
) -> None:
    """And though it is not masked."""
    texts = (b"a ", b"b ", b"c ")
    events = [stream.framed(filled(stream.templates[0], text, {"@aside": aside})) for text in texts]
    pieces = [*map(stream.framed, stream.opening), *events]
    masked = frozenset({"SECRET"})
    short = steps(pipe(stream, stream.api, kit.scanner(), masked), pieces)
    assert short == steps(pipe(stream, ReadsAll(stream.api), kit.scanner(), masked), pieces)
