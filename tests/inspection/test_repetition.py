"""An event that is the last one with another text goes the short way, and nobody can tell."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.inspection import frames
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.pieces import HeldFrame
from authz_service.inspection.repetition import Likeness, Repetition
from authz_service.inspection.results import AnswerPipe
from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.view.answer import AnswerField, AnswerFrame
from authz_service.view.request import RequestView

MASKED = frozenset({"NUMBER", "ADDRESS"})


class ReadsAll(OpenAiChat):
    """The same dialect, without the promise that lets an event go unread."""

    def answer_reader(self, request: RequestView) -> Any:
        reader = super().answer_reader(request)

        class Reader:
            def read(self, document: object) -> AnswerFrame:
                return reader.read(document)._replace(repeats=False)

        return Reader()


def pipe(kit: Any, api: OpenAiChat, max_body: int = 100_000) -> AnswerPipe:
    return answer_pipe(
        api=api,
        request=kit.request,
        content_type="text/event-stream",
        scanner=kit.scanner(),
        masked_entities=MASKED,
        max_body=max_body,
        max_depth=16,
    )


def steps(p: AnswerPipe, pieces: list[bytes]) -> list[object]:
    """What each piece released, found and masked; the code of an error ends it."""
    taken: list[object] = []
    try:
        taken.extend(p.feed(piece) for piece in pieces)
        taken.append(p.finish())
    except Unreadable as error:
        taken.append(error.code)
    return taken


words = st.sampled_from(
    ["12", "345 ", "a@b", "x ", "", "\n", '"', "\\", "é", "\u2028", "\x7f", "😀", "s3cr3t"]
)
said = st.lists(words, max_size=3).map("".join)


def delta_of(kind: str, text: str) -> dict[str, Any]:
    if kind == "arguments":
        return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
    return {kind: text}


ODDITIES: dict[str, list[Any]] = {
    "id": ["1234", "a@b", "d"],
    "finish": ["stop", "1234"],
    "index": [1],
    "lead": [b"data:", b"\xef\xbb\xbfdata: ", b":\ndata: ", b"id: 1\ndata: ", b"event: x\ndata: "],
    "end": [b"\r\n\r\n", b"\n:\n\n", b"\n\n:\n\n"],
    "inside": [
        *(b"\\u0031234 ", b"\\ud83d\\ude00", b"\\ud83d", b"\\", b"\x01", b"\t", b'"', b'","x":"', b"\xff"),
        *(b"\\q", b"}", b'"}}]}', b"\xef\xbb\xbf", b"\r", b"\\n", b"1234 "),
    ],
}


@st.composite
def events(draw: st.DrawFn, kit: Any) -> bytes:
    """One event: most are like the others, some are odd in one thing."""
    name = draw(st.sampled_from([""] * 12 + list(ODDITIES)))
    odd = {name: draw(st.sampled_from(ODDITIES[name]))} if name else {}
    kind = draw(st.sampled_from(["content", "content", "content", "reasoning", "arguments", "other"]))
    finish = odd.get("finish")
    choice = {"index": odd.get("index", 0), "delta": delta_of(kind, "@@@"), "finish_reason": finish}
    document = json.dumps(kit.chunk(choice, id=odd.get("id", "c")), separators=(",", ":")).encode()
    text = json.dumps(draw(said), ensure_ascii=draw(st.booleans()))[1:-1].encode()
    inside = text + bytes(odd.get("inside", b""))
    lead, end = bytes(odd.get("lead", b"data: ")), bytes(odd.get("end", b"\n\n"))
    return lead + document.replace(b"@@@", inside) + end


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


def said_in(kit: Any, texts: list[str], **others: Any) -> list[bytes]:
    return [bytes(kit.sse([kit.chunk(kit.delta(content=t), **others)], end=False)) for t in texts]


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


FIELD = AnswerField("c", ("t",), "x")
DOCUMENT = b'{"n":1,"t":"x"}'


def learned(event: bytes = b"data: " + DOCUMENT + b"\n\n", document: bytes = DOCUMENT) -> Repetition:
    repetition = Repetition()
    repetition.learn(event, document, bytes, FIELD)
    return repetition


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (b"y", "y"),
        (b'a\\"b\\\\\\n\\u00e9', 'a"b\\\né'),
        ("é😀\x7f".encode(), "é😀\x7f"),
        (b"", None),
        (b'"', None),
        (b'","t":"y', None),
        (b"\\", None),
        (b"\\q", None),
        (b"\\ud83d\\ude00", None),
        (b"\\uD83d", None),
        (b"\n", None),
        (b"\x00", None),
        (b"\xff", None),
    ],
)
def test_the_text_is_that_of_the_json_string_in_the_gap(inside: bytes, text: str | None) -> None:
    event = b'data: {"n":1,"t":"' + inside + b'"}\n\n'
    likeness = learned().likeness
    assert learned().texts([event], 0) == ([] if text is None else [text])
    assert likeness is not None
    assert likeness.document(event) == event[6:-2]
    assert likeness.document(event)[likeness.gap(event)] == b'"' + inside + b'"'


INSIDE = st.sampled_from([b"y", b"a b", b"", b'"', b"\\n", b"\\", b"\n", "é".encode(), b"\xc3", b"\x7f"])


@given(st.lists(INSIDE, min_size=1, max_size=6))
def test_texts_that_are_looked_at_together_are_those_of_each_by_itself(insides: list[bytes]) -> None:
    events = [b'data: {"n":1,"t":"' + inside + b'"}\n\n' for inside in insides]
    alone = [learned().texts([event], 0) for event in events]
    until = next((n for n, texts in enumerate(alone) if not texts), len(alone))
    assert learned().texts(events, 0) == [text for texts in alone[:until] for text in texts]


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"n":2,"t":"y"}\n\n',
        b'data: {"n":1,"t":"y"} \n\n',
        b'data: {"n":1,"t":"y"}\r\n\r\n',
        b'data: {"n":1,"t":"}\n\n',
        b'data: {"n":1,"t":"y"]\n\n',
        b'event: e\ndata: {"n":1,"t":"y"}\n\n',
        b"",
    ],
)
def test_an_event_that_differs_in_anything_else_must_be_read(event: bytes) -> None:
    assert learned().texts([event], 0) == []


def test_after_what_must_be_read_nothing_is_known() -> None:
    repetition = learned()
    repetition.forget()
    assert repetition.texts([b"data: " + DOCUMENT + b"\n\n"], 0) == []
    assert Repetition().texts([b""], 0) == []


@pytest.mark.parametrize(
    ("event", "document"),
    [
        (b"\xef\xbb\xbfdata: " + DOCUMENT + b"\n\n", DOCUMENT),
        (b'data: {"n":1,\ndata: "t":"x"}\n\n', b'{"n":1,\n"t":"x"}'),
    ],
)
def test_what_means_something_else_in_another_place_is_not_learned(event: bytes, document: bytes) -> None:
    assert learned(event, document).texts([event], 0) == []


def test_where_no_event_is_like_the_one_before_it_likeness_is_given_up() -> None:
    repetition = Repetition()
    event = b"data: " + DOCUMENT + b"\n\n"
    for _ in range(4):
        repetition.learn(event, DOCUMENT, bytes, FIELD)
    assert repetition.texts([event], 0) == ["x"]
    for _ in range(5):
        repetition.learn(event, DOCUMENT, bytes, FIELD)
    assert repetition.texts([event], 0) == []


@pytest.mark.parametrize("max_body", [150, 1_000, 100_000])
def test_events_that_come_together_wait_for_no_more_than_they_would_one_by_one(
    kit: Any, max_body: int
) -> None:
    """Findings at the beginning, within, over the ends of events and in the last one, and what waits."""
    texts = [
        "a",
        " 12",
        "34",
        "5 ",
        "b",
        " s3",
        "cr",
        "3t",
        " a",
        "@",
        "b",
        " c",
        " d ",
        "123456 ",
        "e",
        " 77",
    ]
    stream = b"".join(said_in(kit, ["x ", *texts]))
    for cut in range(0, len(stream), 37):
        pieces = [stream[:cut], stream[cut:]]
        together = steps(pipe(kit, OpenAiChat(), max_body), pieces)
        assert together == steps(pipe(kit, ReadsAll(), max_body), pieces)


def test_of_events_that_come_together_only_those_with_a_finding_are_looked_at_one_by_one(
    kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []

    def again(likeness: Likeness, raw: bytes) -> HeldFrame:
        made.append(raw)
        return frames._again(likeness, raw)

    monkeypatch.setattr(frames, "partial", lambda _again, likeness: partial(again, likeness))
    stream = said_in(kit, ["x ", *["word "] * 20, "12", "34 ", *["word "] * 20])
    kit.run(pipe(kit, OpenAiChat()), [b"".join(stream)])
    assert made == stream[21:23]


def test_what_is_known_of_a_likeness_stays_though_another_follows(kit: Any) -> None:
    """What was parted from a run is made when the run is parted, which may be after other events."""
    first = (
        said_in(kit, ["x ", "word ", "12"]) + said_in(kit, ["34"], id="other") + said_in(kit, ["56 ", "a@b "])
    )
    assert steps(pipe(kit, OpenAiChat()), [b"".join(first)]) == steps(
        pipe(kit, ReadsAll()), [b"".join(first)]
    )


def test_no_more_events_are_overtaken_than_would_be_one_by_one(kit: Any) -> None:
    held = [bytes(kit.sse([kit.chunk(kit.delta(reasoning="1"))], end=False))] * (frames.MOST_OVERTAKEN + 9)
    pieces = [b"".join(held), *said_in(kit, ["x ", "y "])]
    assert steps(pipe(kit, OpenAiChat()), pieces) == steps(pipe(kit, ReadsAll()), pieces)
    assert steps(pipe(kit, OpenAiChat()), [*held[:9], *pieces[1:]])[-2].release  # type: ignore[attr-defined]  # an AnswerStep
