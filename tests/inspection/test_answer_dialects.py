"""Streams of every dialect: what a client hears is the masking of the whole, however it was cut."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.inspection.dialects.anthropic import ANTHROPIC
from tests.inspection.dialects.base import Dialect, Said
from tests.inspection.dialects.chat import CHAT
from tests.inspection.dialects.completions import COMPLETIONS
from tests.inspection.dialects.llamacpp import LLAMACPP
from tests.inspection.dialects.ollama import OLLAMA
from tests.inspection.dialects.open_inference import TENSORS
from tests.inspection.dialects.responses import BARE_RESPONSES, RESPONSES
from tests.inspection.dialects.tgi import TGI
from tests.inspection.dialects.tokens import WITH_TOKENS

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.results import AnswerPipe
from authz_service.masking.detectors import build_scanner

DIALECTS = (
    CHAT,
    COMPLETIONS,
    RESPONSES,
    BARE_RESPONSES,
    ANTHROPIC,
    LLAMACPP,
    TGI,
    OLLAMA,
    TENSORS,
    *WITH_TOKENS,
)
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
    "\\\n",
    "x",
]
texts = st.lists(st.sampled_from(SCRAPS), max_size=10).map("".join)
cuts = st.lists(st.integers(0, 40), max_size=4)
places = st.lists(st.integers(0, 6000), max_size=8)
Story = tuple[dict[str, str], list[Said]]

each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=repr)


def pipe(dialect: Dialect, scanner: Any, masked: frozenset[str] = MASKED) -> AnswerPipe:
    return answer_pipe(
        api=dialect.api,
        request=dialect.request,
        content_type=dialect.content_type,
        scanner=scanner,
        masked_entities=masked,
        max_body=100_000,
        max_depth=16,
    )


def cut(whole: Any, at: Sequence[int]) -> list[Any]:
    bounds = [0, *sorted(min(a, len(whole)) for a in at), len(whole)]
    return [whole[a:b] for a, b in itertools.pairwise(bounds)]


def prose(dialect: Dialect) -> list[str]:
    return [name for name in dialect.fields if name != dialect.arguments]


@st.composite
def stories(draw: st.DrawFn, dialect: Dialect) -> Story:
    """Whole texts, and their pieces: side by side, or one text after another where they take turns."""
    wholes = {name: draw(texts) for name in prose(dialect)}
    pieces = {name: [(name, piece) for piece in cut(whole, draw(cuts))] for name, whole in wholes.items()}
    names = [name for name, parts in pieces.items() for _ in parts]
    order = names if dialect.in_turn else draw(st.permutations(names))
    queues = {name: iter(parts) for name, parts in pieces.items()}
    return wholes, [next(queues[name]) for name in order]


def masks_like_the_whole(kit: Any, dialect: Dialect, story: Story, scanner: Any) -> None:
    wholes, pieces = story
    released = kit.run(pipe(dialect, scanner), dialect.tell(pieces).splitlines(keepends=True))
    heard = {name: text for name, text in dialect.hear(released.data).items() if text}
    expected = {n: kit.masked_text(t, kit.scanner().scan(t), MASKED) for n, t in wholes.items() if t}
    assert heard == {name: text for name, text in expected.items() if text}


@each_dialect
@settings(deadline=None)
@given(st.data())
def test_any_cut_of_the_texts_gives_the_masking_of_the_whole(kit: Any, dialect: Dialect, data: Any) -> None:
    masks_like_the_whole(kit, dialect, data.draw(stories(dialect)), kit.scanner())


@each_dialect
def test_a_scanner_that_settles_too_early_breaks_that_property(kit: Any, dialect: Dialect) -> None:
    name = prose(dialect)[-1]
    story = ({name: "x 12345 y"}, [(name, piece) for piece in ("x 12", "345", " y")])
    masks_like_the_whole(kit, dialect, story, kit.scanner())
    with pytest.raises(RuntimeError):
        masks_like_the_whole(kit, dialect, story, kit.scanner(too_early=2))


@each_dialect
@settings(deadline=None)
@given(st.data())
def test_any_cut_of_the_bytes_gives_the_same_bytes_and_counts(kit: Any, dialect: Dialect, data: Any) -> None:
    stream = dialect.tell(data.draw(stories(dialect))[1])
    pieces = cut(stream, data.draw(places))
    assert kit.run(pipe(dialect, kit.scanner()), pieces) == kit.run(pipe(dialect, kit.scanner()), [stream])


@each_dialect
@settings(deadline=None)
@given(st.data())
def test_where_nothing_is_masked_the_bytes_are_those_of_the_model_server(
    kit: Any, dialect: Dialect, data: Any
) -> None:
    stream = dialect.tell(data.draw(stories(dialect))[1])
    nothing = pipe(dialect, kit.scanner(), frozenset())
    assert kit.run(nothing, cut(stream, data.draw(places))).data == stream


@each_dialect
@settings(deadline=None)
@given(st.data())
def test_what_is_told_several_times_is_counted_once(kit: Any, dialect: Dialect, data: Any) -> None:
    wholes, pieces = data.draw(stories(dialect))
    expected = Counter(f.entity for text in wholes.values() for f in kit.scanner().scan(text))
    stream = dialect.tell(pieces)
    for masked in (MASKED, frozenset[str]()):
        found = Counter(kit.run(pipe(dialect, kit.scanner(), masked), [stream]).found)
        for times in (found, expected):  # and other numbers that stand beside the texts
            del times["NUMBER"]
        assert found == expected


REAL = build_scanner()
with_arguments = pytest.mark.parametrize("dialect", [d for d in DIALECTS if d.arguments], ids=repr)
ARGUMENTS = json.dumps({"to": "john.smith@example.com", "note": 'say "hi" to j\u00f6rg\n', "n": [1, 2.5]})


@with_arguments
@settings(deadline=None)
@given(st.data())
def test_the_arguments_of_a_tool_call_stay_json_however_they_were_cut(
    kit: Any, dialect: Dialect, data: Any
) -> None:
    name = dialect.arguments or ""
    at = data.draw(st.lists(st.integers(0, len(ARGUMENTS)), max_size=12))
    stream = dialect.tell([(name, piece) for piece in cut(ARGUMENTS, at)])
    masked = pipe(dialect, REAL, frozenset({"EMAIL_ADDRESS"}))
    heard: Mapping[str, str] = dialect.hear(kit.run(masked, cut(stream, data.draw(places))).data)
    expected = {**json.loads(ARGUMENTS), "to": "[EMAIL_ADDRESS]"}
    assert json.loads(heard[name]) == expected
