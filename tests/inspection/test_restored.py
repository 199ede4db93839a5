"""Values of a request come back in its answer: in every dialect, in any cut, after all masking."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspection.dialects.anthropic import ANTHROPIC
from tests.inspection.dialects.base import Dialect, Said, event
from tests.inspection.dialects.chat import CHAT
from tests.inspection.dialects.completions import COMPLETIONS
from tests.inspection.dialects.llamacpp import LLAMACPP
from tests.inspection.dialects.ollama import OLLAMA
from tests.inspection.dialects.responses import BARE_RESPONSES, RESPONSES
from tests.inspection.dialects.tgi import TGI
from tests.inspection.dialects.tokens import WITH_TOKENS

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.masking.placeholders import EVERYWHERE, TYPED, Place, Placeholders

DIALECTS = (CHAT, COMPLETIONS, RESPONSES, BARE_RESPONSES, ANTHROPIC, LLAMACPP, TGI, OLLAMA, *WITH_TOKENS)
MASKED = frozenset({"NUMBER", "ADDRESS"})
TEXT_ONLY = frozenset([Place.TEXT])
SCRAPS = [
    "<",
    ">",
    "<NOTE_",
    "NOTE_1",
    "1",
    "1>",
    "2>",
    "<NOTE_1>",
    "<NOTE_2>",
    "<NOTE_3>",
    "<NAME_1>",
    "é😀",
]
SCRAPS += ["<PLACEHOLDER_1>", "1234", "a@b", " ", "\\\n", "word ", "<note_1>", "<NAME_", "_1>", "<ARG_1>"]
texts = st.lists(st.sampled_from(SCRAPS), max_size=10).map("".join)
cuts = st.lists(st.integers(0, 60), max_size=5)
places = st.lists(st.integers(0, 6000), max_size=8)
Story = tuple[dict[str, str], list[Said]]

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=repr)


def placeholders(whose: str = "jane") -> Placeholders:
    """What would be masked were it not restored last is among the values."""
    made = Placeholders({"NOTE": TEXT_ONLY, "NAME": EVERYWHERE, "ARG": frozenset([Place.TOOL_ARGUMENTS])})
    for entity, value in (
        ("NOTE", f"{whose}@b 123456"),
        ("NOTE", f'{whose}: "quoted" \\ é😀\n'),
        ("NAME", f'{whose} "J"\\'),
        ("ARG", f"{whose} 4711 0815"),
        (TYPED, "<NOTE_1>"),
    ):
        made.name(entity, value)
    return made


def restored(text: str, map_: Placeholders, place: Place = Place.TEXT) -> str:
    """What a text is to say, as simply as possible."""
    known = {name: r.value for name, r in map_.by_name.items() if place in r.places}
    return re.sub(r"<[A-Z]+_[0-9]+>", lambda found: known.get(found[0], found[0]), text)


def place_of(dialect: Dialect, name: str) -> Place:
    """Besides what is JSON, the responses API has tools that are called with any text."""
    is_argument = name == dialect.arguments or ("responses" in dialect.operation and name == "input")
    return Place.TOOL_ARGUMENTS if is_argument else Place.TEXT


def pipe(dialect: Dialect, scanner: Any, map_: Placeholders | None, **others: Any) -> AnswerPipe:
    settings_ = {"content_type": dialect.content_type, "max_body": 100_000, **others}
    return answer_pipe(
        api=dialect.api, request=dialect.request, scanner=scanner, masked_entities=MASKED, max_depth=16,
        placeholders=map_, **settings_,
    )  # fmt: skip


def cut(whole: Any, at: Sequence[int]) -> list[Any]:
    bounds = [0, *sorted(min(a, len(whole)) for a in at), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(bounds)]


@st.composite
def stories(draw: st.DrawFn, dialect: Dialect) -> Story:
    names = [name for name in dialect.fields if name != dialect.arguments]
    wholes = {name: draw(texts) for name in names}
    # Two characters a token, or anything else: few random cuts fall into a placeholder.
    at = {n: draw(cuts | st.just(list(range(0, len(text), 2)))) for n, text in wholes.items()}
    pieces = {n: [(n, piece) for piece in cut(text, at[n])] for n, text in wholes.items()}
    order = [name for name, parts in pieces.items() for _ in parts]
    order = order if dialect.in_turn else draw(st.permutations(order))
    queues = {name: iter(parts) for name, parts in pieces.items()}
    return wholes, [next(queues[name]) for name in order]


@each_dialect
@settings(deadline=None, max_examples=50)
@given(st.data())
def test_any_cut_says_the_restored_masking_of_the_whole(kit: Any, dialect: Dialect, data: Any) -> None:
    wholes, pieces = data.draw(stories(dialect))
    stream, map_ = dialect.tell(pieces), placeholders()
    released = kit.run(pipe(dialect, kit.scanner(), map_), stream.splitlines(keepends=True))
    heard = {name: text for name, text in dialect.hear(released.data).items() if text}
    masked = {n: kit.masked_text(t, kit.scanner().scan(t), MASKED) for n, t in wholes.items()}
    expected = {name: restored(text, map_, place_of(dialect, name)) for name, text in masked.items()}
    assert heard == {name: text for name, text in expected.items() if text}
    assert released == kit.run(pipe(dialect, kit.scanner(), map_), cut(stream, data.draw(places)))


@each_dialect
def test_a_placeholder_is_restored_wherever_it_is_cut(kit: Any, dialect: Dialect) -> None:
    text, map_ = "to <NAME_1>, <NAME_1> <N", placeholders()
    for name in (name for name in dialect.fields if name != dialect.arguments):
        for at in range(len(text) + 1):
            stream = dialect.tell([(name, text[:at]), (name, text[at:])])
            released = kit.run(pipe(dialect, kit.scanner(), map_), stream.splitlines(keepends=True))
            assert dialect.hear(released.data)[name] == 'to jane "J"\\, jane "J"\\ <N'


@each_dialect
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_what_says_none_of_this_requests_placeholders_keeps_its_bytes(
    kit: Any, dialect: Dialect, data: Any
) -> None:
    stream = dialect.tell(data.draw(stories(dialect))[1])
    others = Placeholders({"OTHER": EVERYWHERE})
    others.name("OTHER", "jane")
    masked = kit.run(pipe(dialect, kit.scanner(), None), [stream])
    released = kit.run(pipe(dialect, kit.scanner(), others), cut(stream, data.draw(places)))
    assert released == masked


@each_dialect
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_two_answers_side_by_side_say_each_its_own_requests_values(
    kit: Any, dialect: Dialect, data: Any
) -> None:
    stream = dialect.tell(data.draw(stories(dialect))[1])
    said = {"jane": b"", "ilse": b""}
    pipes = {whose: pipe(dialect, kit.scanner(), placeholders(whose)) for whose in said}
    for piece in cut(stream, data.draw(places)):
        for whose in said:
            said[whose] += pipes[whose].feed(piece).release
    for whose in said:
        said[whose] += pipes[whose].finish().release
    assert b"ilse" not in said["jane"]
    assert b"jane" not in said["ilse"]
    assert said["jane"].replace(b"jane", b"ilse") == said["ilse"]


with_arguments = pytest.mark.parametrize("dialect", [d for d in DIALECTS if d.arguments], ids=repr)
ARGUMENTS = json.dumps(
    {"to": "<NAME_1>, <NAME_2>", "note": ["<NOTE_1>", "<ARG_1>"], "n": 1.5}
).replace("<NAME_1", r"\u003cNAME_1")  # fmt: skip


@with_arguments
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_arguments_of_a_tool_get_what_may_go_there_and_stay_json(
    kit: Any, dialect: Dialect, data: Any
) -> None:
    name, map_ = dialect.arguments or "", placeholders()
    at = data.draw(st.lists(st.integers(0, len(ARGUMENTS)), max_size=12))
    stream = dialect.tell([(name, piece) for piece in cut(ARGUMENTS, at)])
    released = kit.run(pipe(dialect, kit.scanner(), map_), stream.splitlines(keepends=True))
    assert released == kit.run(pipe(dialect, kit.scanner(), map_), cut(stream, data.draw(places)))
    heard: Mapping[str, str] = dialect.hear(released.data)
    assert json.loads(heard[name]) == {
        "to": 'jane "J"\\, <NAME_2>',
        "note": ["<NOTE_1>", "jane 4711 0815"],
        "n": 1.5,
    }


@each_dialect
def test_a_placeholder_is_never_made_of_two_texts(kit: Any, dialect: Dialect) -> None:
    names = [name for name in dialect.fields if place_of(dialect, name) is Place.TEXT]
    pieces = [(name, half) for name in names for half in ("<NOTE_", "1")]
    released = kit.run(pipe(dialect, kit.scanner(), placeholders()), [dialect.tell(pieces)])
    heard = dialect.hear(released.data)
    assert {name: heard[name] for name in names} == dict.fromkeys(names, "<NOTE_1")


@pytest.mark.parametrize("first", ["x <NOTE_", "<NAME_1>"])
def test_a_placeholder_is_never_made_of_two_blocks_of_text(kit: Any, first: str) -> None:
    start = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "llama"}
    documents_: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, said in enumerate((first, "1> <NAME_1>")):
        documents_ += [
            {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": said}},
            {"type": "content_block_stop", "index": index},
        ]
    documents_ += [{"type": "message_delta", "delta": {}}, {"type": "message_stop"}]
    events = [event(document, document["type"]) for document in documents_]
    released = kit.run(pipe(ANTHROPIC, kit.scanner(), placeholders()), events)
    expected = first.replace("<NAME_1>", 'jane "J"\\') + '1> jane "J"\\'
    assert ANTHROPIC.hear(released.data)["text"] == expected
    told = {"type": "message", "role": "assistant", "content": [
        {"type": "text", "text": first}, {"type": "text", "text": "1> <NAME_1>"}
    ]}  # fmt: skip
    whole_ = pipe(ANTHROPIC, kit.scanner(), placeholders(), content_type="application/json")
    blocks = json.loads(kit.run(whole_, [json.dumps(told).encode()]).data)["content"]
    assert "".join(block["text"] for block in blocks) == expected


@each_dialect
def test_what_is_told_several_times_is_restored_each_time_and_counted_once(
    kit: Any, dialect: Dialect
) -> None:
    name = [name for name in dialect.fields if place_of(dialect, name) is Place.TEXT][-1]
    stream = dialect.tell([(name, piece) for piece in ("x <NO", "TE_1> <NAME", "_1>", " <NOTE_1>")])
    answer = pipe(dialect, kit.scanner(), placeholders())
    total: Counter[str] = Counter()
    said = released = b""
    for step in (answer.feed(stream), answer.finish()):
        total += Counter(step.restored)
        said += step.said or b""
        released += step.release
    assert total == {"NOTE": 2, "NAME": 1}
    assert b"jane" not in said
    assert b"<NOTE_1>" not in released
    assert said == kit.run(pipe(dialect, kit.scanner(), None), [stream]).data


def test_the_object_that_a_tool_is_called_with_gets_only_what_may_go_there(kit: Any) -> None:
    arguments = {"to": "<NAME_1>", "list": [{"note": "<NOTE_1>"}, "<ARG_1>"], "<NAME_1>": 1}
    call = {"function": {"name": "send_mail", "arguments": arguments}}
    message = {"role": "assistant", "content": "<NAME_1>", "tool_calls": [call]}
    line = json.dumps({"model": "llama", "message": message, "done": True}).encode() + b"\n"
    told = json.loads(kit.run(pipe(OLLAMA, kit.scanner(), placeholders()), [line]).data)["message"]
    assert told["content"] == 'jane "J"\\'
    assert told["tool_calls"][0]["function"]["arguments"] == {
        "to": 'jane "J"\\',
        "list": [{"note": "<NOTE_1>"}, "jane 4711 0815"],
        "<NAME_1>": 1,
    }


def whole(*choices: dict[str, Any]) -> bytes:
    document = {"id": "c", "object": "chat.completion", "created": 1, "model": "llama", "choices": choices}
    return json.dumps(document).encode()


def test_the_words_of_an_error_are_restored_and_names_of_fields_are_not(kit: Any) -> None:
    body = json.dumps({"error": {"message": "no <NAME_1>: <NOTE_9>", "<NAME_1>": 1}}).encode()
    answer = pipe(CHAT, kit.scanner(), placeholders(), content_type="application/json", is_error=True)
    document = json.loads(kit.run(answer, [body]).data)
    assert document == {"error": {"message": 'no jane "J"\\: <NOTE_9>', "<NAME_1>": 1}}


def test_tokens_beside_a_restored_text_say_what_it_says_and_tell_nothing_else(kit: Any) -> None:
    tokens = ["to ", "<NA", "ME", "_1", ">", "."]
    beside = {"bytes": [1], "logprob": -1.0, "top_logprobs": []}
    entries = [{"token": token, **beside, "bytes": list(token.encode())} for token in tokens]
    message = {"role": "assistant", "content": "".join(tokens)}
    body = whole({"index": 0, "message": message, "logprobs": {"content": entries}, "finish_reason": "stop"})
    answer = pipe(CHAT, kit.scanner(), placeholders(), content_type="application/json")
    (choice,) = json.loads(kit.run(answer, [body]).data)["choices"]
    assert choice["message"]["content"] == 'to jane "J"\\.'
    told = choice["logprobs"]["content"]
    assert [entry["token"] for entry in told] == ["to ", 'jane "J"\\', "", "", "", "."]
    assert [entry["bytes"] is None for entry in told] == [False, True, True, True, True, False]


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_answer_that_says_a_long_value_too_often_ends(kit: Any, content_type: str) -> None:
    map_ = Placeholders({"NOTE": EVERYWHERE})
    map_.name("NOTE", "x" * 400)
    text = "<NOTE_1>" * 3
    if content_type == "application/json":
        data = whole({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"})
    else:
        data = kit.sse([kit.chunk(kit.delta(content=text))])
    answer = pipe(CHAT, kit.scanner(), map_, content_type=content_type, max_body=1000)
    with pytest.raises(Unreadable, match="more than 1000 characters"):
        kit.run(answer, [data])
