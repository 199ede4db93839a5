"""Texts that are hard to mask, and ways of feeding them to a stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import strategies as st
from tests.masking.values import ENTITIES, placed

from authz_service.masking.detectors import build_scanner, builtin_names
from authz_service.masking.finding import Finding, join_pieces
from authz_service.masking.seams import IncrementalScanner, Progress, Scanner

_CUSTOM = [
    ("EMPLOYEE_ID", r"E-\d{6}"),
    ("NESTED", r"(?:a|aa)+b"),
    ("PROJECT", r"(?i)\bprojekt [xyz]+\b"),
    ("LAZY", r"<s>.*?</s>"),
    ("LINE", r"(?m)^ID: \w+$"),
    ("CYRILLIC", r"\p{Cyrillic}{3,}\d"),
    ("ENDS", r"fin\z|foo(?:bar$)?"),
]
_CUSTOM_VALUES = [
    "E-123456",
    "aaaaab",
    "projekt xyz",
    "PROJEKT X",
    "<s>a</s>",
    "\nID: abc\n",
    "\u043f\u0440\u0438\u04325",
    "foobar",
]
_COMMON = [
    "CREDIT_CARD",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "JWT",
    "PHONE_NUMBER",
    "PRIVATE_KEY",
    "US_SSN",
]
_FILLER = [
    "E-12345", "aaaa", "12.", "@x", "é", "😀", "4111-1111-1111-111", "word ", "a", "1", "hello there, ",
    "AKIA", "\n", "\\n", "</s>", "\u00a0", "\u2011", "'", '"', "\\", "/", ":", "::", "-----", "ey", ".", "-",
    "_", "fin", "passport", "NHS: ", "tel ", "+", "(", "sk-", "943 476 591", "x" * 50, "\u00e9" * 55,
]  # fmt: skip

Pieces = Sequence[str]
Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]


@pytest.fixture(scope="session")
def entities() -> dict[str, list[str]]:
    """Values of each built-in entity type."""
    return ENTITIES


@pytest.fixture(scope="session")
def custom() -> list[tuple[str, str]]:
    """Operators' patterns: repetition, flags, laziness, lines, classes, assertions at the end."""
    return _CUSTOM


@pytest.fixture(scope="session")
def everything() -> Scanner:
    """All built-in detectors and the operators' own."""
    return build_scanner(custom=_CUSTOM)


@pytest.fixture(scope="session")
def scanners(everything: Scanner) -> list[Scanner]:
    """Each detector alone, and all together."""
    alone = [build_scanner([name]) for name in sorted(builtin_names())]
    return [everything, *alone, *(build_scanner([], [pair]) for pair in _CUSTOM)]


@pytest.fixture(scope="session")
def texts() -> st.SearchStrategy[str]:
    """Texts of whole and halved values, of fillers and separators: what random text never hits."""
    common = [value for entity in _COMMON for value in ENTITIES[entity]]
    every = [
        "".join((placed(entity, value)[0][6:], value)) for entity in ENTITIES for value in ENTITIES[entity]
    ]
    values = [*common, *every, *_CUSTOM_VALUES]

    def cut(value: str, begin: int, end: int) -> str:
        return value[begin if begin < 4 else 0 : None if end > 12 else len(value) * end // 12]

    halved = st.builds(cut, st.sampled_from(values), st.integers(0, 12), st.integers(3, 20))
    piece = st.one_of(halved, st.sampled_from(values), st.sampled_from(_FILLER))
    return st.lists(st.tuples(piece, st.sampled_from(["", " ", "", ". "])), max_size=9).map(
        lambda pairs: "".join(piece + gap for piece, gap in pairs)
    )


@pytest.fixture(scope="session")
def documents(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """JSON documents of such texts, with escapes where none are needed, and numbers that are cards."""

    def escaped(text: str, style: int) -> str:
        if style < 2:
            return json.dumps(text, ensure_ascii=bool(style))
        units = (text[i].encode("utf-16-be").hex() if i % style == 0 else "" for i in range(len(text)))
        return '"' + "".join(
            "".join(f"\\u{unit[k : k + 4]}" for k in range(0, len(unit), 4))
            or json.dumps(char, ensure_ascii=False)[1:-1]
            for char, unit in zip(text, units, strict=True)
        ) + '"'  # fmt: skip

    strings = st.builds(escaped, texts, st.integers(0, 5))
    numbers = ["4111111111111111", "-4111111111111111", "5555555555554444", "0", "1.5e-3", "true", "null"]
    gaps = st.sampled_from(["", "", " ", "\n "])

    def listed(items: list[str], gap: str) -> str:
        return f"[{gap}{f'{gap},{gap}'.join(items)}{gap}]"

    def keyed(items: list[tuple[str, str]], gap: str) -> str:
        return f"{{{gap}{f'{gap},'.join(f'{key}{gap}:{gap}{value}' for key, value in items)}{gap}}}"

    return st.recursive(
        st.one_of(strings, st.sampled_from(numbers)),
        lambda inner: st.one_of(
            st.builds(listed, st.lists(inner, max_size=4), gaps),
            st.builds(keyed, st.lists(st.tuples(strings, inner), max_size=4), gaps),
        ),
        max_leaves=6,
    )


@pytest.fixture(scope="session")
def cuts() -> st.SearchStrategy[list[int]]:
    """Lengths of pieces, used again and again until the text is over; some are empty."""
    return st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 8, 40]), min_size=1, max_size=12).filter(any)


@pytest.fixture(scope="session")
def pieces() -> Callable[[str, list[int]], list[str]]:
    """Cut a text into pieces of the given lengths."""

    def cut(text: str, lengths: list[int]) -> list[str]:
        found: list[str] = []
        at = 0
        while at < len(text):
            length = lengths[len(found) % len(lengths)]
            found.append(text[at : at + length])
            at += length
        return found

    return cut


@pytest.fixture(scope="session")
def run() -> Run:
    """Feed pieces to a stream: what it finds in all, and how much it held back after each piece.

    On the way every promise of `Progress` is checked.
    """

    def feed_all(stream: IncrementalScanner, pieces: Pieces) -> tuple[tuple[Finding, ...], list[int]]:
        steps: list[Progress] = []
        held: list[int] = []
        length = settled = 0
        for piece in pieces:
            length += len(piece)
            settled = _checked(steps, stream.feed(piece), settled, length)
            held.append(length - settled)
        assert _checked(steps, stream.finish(), settled, length) == length
        return join_pieces((step.findings, step.more) for step in steps), held

    return feed_all


def _checked(steps: list[Progress], step: Progress, settled: int, length: int) -> int:
    assert settled <= step.settled <= length
    assert all(settled <= finding.start < step.settled for finding in step.findings)
    assert all(finding.end <= length for finding in step.findings)
    steps.append(step)
    return step.settled


@pytest.fixture(scope="session")
def released() -> Callable[..., list[str]]:
    """What a client receives after each piece: asterisks for findings, and nothing is taken back."""

    def release(stream: IncrementalScanner, pieces: Pieces) -> list[str]:
        out: list[str] = []
        text = ""
        done = 0
        for piece in [*pieces, None]:
            text += piece or ""
            step = stream.finish() if piece is None else stream.feed(piece)
            share = ""
            for finding in step.findings:
                share += text[done : finding.start]
                done = max(done, finding.start)
                share += "*" * (finding.end - done)
                done = max(done, finding.end)
            share += text[done : step.settled]
            done = max(done, step.settled)
            out.append(share)
        return out

    return release
