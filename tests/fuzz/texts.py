"""What must hold of the masker for any text: any cut gives the masking of the whole, and no canary leaves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache

import pytest
from tests.fuzz.decoders import cut
from tests.inspection.dialects.base import Dialect, Said
from tests.inspection.test_answer_dialects import DIALECTS

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.spans import SpanMerger, mask
from authz_service.masking.detectors import build_scanner, builtin_names
from authz_service.masking.finding import Finding, join_pieces
from authz_service.masking.seams import Progress, Scanner

CANARIES = ("zq7canary@canary.example", "5105 1051 0510 5100", "4111111111111111", "+41 44 668 18 00")
"""Values in lines of their own behind any text: an address, cards and a telephone number."""

LONGEST = 4096
"""Bytes of a text; the masker may hold back sixteen times as many characters."""


@cache
def scanner() -> Scanner:
    """Every detector that there is."""
    return build_scanner()


def _decoded(data: bytes) -> tuple[str, list[str]]:
    """A text and its pieces, cut between characters."""
    _, pieces = cut(data[:LONGEST])
    decoded = [piece.decode(errors="ignore") for piece in pieces]
    return "".join(decoded), decoded


def plain(data: bytes) -> None:
    """A stream finds what a whole text has, for any cut, and no canary that stands behind it is missed."""
    text, pieces = _decoded(data)
    canary = _canary(data)
    text += f"\n{canary}\n"
    found = streamed(scanner(), [*pieces, "\n", canary[:5], canary[5:], "\n"])
    assert found == scanner().scan(text)
    masked = mask(text, SpanMerger(builtin_names()).take(Progress(found, len(text))))
    # At the end only: elsewhere its digits may stand in a longer number, and are no card there.
    assert not masked.endswith(f"{canary}\n")


def _canary(data: bytes) -> str:
    return CANARIES[sum(data[-4:]) % len(CANARIES)]


def embedded(data: bytes) -> None:
    """So does one of JSON in a string; and masked, what was a document still is one."""
    text, pieces = _decoded(data)
    try:
        found = scanner().scan(text, embedded_json=True)
    except Unreadable as refused:  # half of a surrogate pair, which is refused in a stream as well
        with pytest.raises(Unreadable, match=re.escape(str(refused))):
            streamed(scanner(), pieces, embedded_json=True)
        return
    assert streamed(scanner(), pieces, embedded_json=True) == found
    if _is_document(text):
        spans = SpanMerger(builtin_names()).take(Progress(found, len(text)))
        assert _is_document(mask(text, spans)), text


def _is_document(text: str) -> bool:
    try:
        json.loads(text, strict=True)
    except (ValueError, RecursionError):
        return False
    return True


def streamed(scanner: Scanner, pieces: Sequence[str], *, embedded_json: bool = False) -> tuple[Finding, ...]:
    """What a stream finds in all; on the way its promises are checked."""
    stream = scanner.incremental(embedded_json=embedded_json)
    steps: list[Progress] = []
    length = settled = 0
    for piece in (*pieces, None):
        length += len(piece or "")
        step = stream.finish() if piece is None else stream.feed(piece)
        assert settled <= step.settled <= length
        assert all(settled <= finding.start < step.settled for finding in step.findings)
        settled = step.settled
        steps.append(step)
    assert settled == length
    return join_pieces((step.findings, step.more) for step in steps)


def dialect(data: bytes) -> None:
    """What a client hears of a stream is the masking of each whole text, and its canary is in none."""
    if not data:
        return
    kind = DIALECTS[data[0] % len(DIALECTS)]
    _, pieces = _decoded(data[1:])
    canary = _canary(data)
    names = [name for name in kind.fields if name != kind.arguments]
    story = _told(kind, names, pieces)
    last = names[-1] if kind.in_turn else names[data[0] % len(names)]
    story += [(last, piece) for piece in ("\n", *(canary[i : i + 3] for i in range(0, len(canary), 3)), "\n")]
    out = _released(kind, kind.tell(story))
    heard = {name: said for name, said in kind.hear(out).items() if said}
    wholes = {name: "".join(piece for of, piece in story if of == name) for name in names}
    assert heard == {name: masked for name, said in wholes.items() if (masked := _masked(said))}
    assert canary in wholes[last]
    assert not any(said.endswith(f"{canary}\n") for said in heard.values())


def _told(kind: Dialect, names: Sequence[str], pieces: Sequence[str]) -> list[Said]:
    """The pieces of one text after those of another; by turns where a dialect has them side by side."""
    if not kind.in_turn:
        return [(names[i // 3 % len(names)], piece) for i, piece in enumerate(pieces)]
    share = -(-len(pieces) // len(names))
    return [(names[i // share], piece) for i, piece in enumerate(pieces)]


def _masked(text: str) -> str:
    return mask(text, SpanMerger(builtin_names()).take(Progress(scanner().scan(text), len(text))))


def _released(kind: Dialect, stream: bytes) -> bytes:
    pipe = answer_pipe(
        api=kind.api,
        request=kind.request,
        content_type=kind.content_type,
        scanner=scanner(),
        masked_entities=builtin_names(),
        max_body=1 << 22,
        max_depth=64,
    )
    steps = [pipe.feed(line) for line in stream.splitlines(keepends=True)]
    return b"".join(step.release for step in (*steps, pipe.finish()))
