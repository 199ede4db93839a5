"""Values in base64 are found, in whole texts and in streams of any cut, and other base64 is left alone."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from itertools import product

import pytest
from tests.masking.replacing import merge, replace
from tests.masking.values import ENTITIES, placed

from authz_service.masking import base64_detector
from authz_service.masking.base64_detector import LONGEST
from authz_service.masking.detectors import build_scanner
from authz_service.masking.engine import compile_regex
from authz_service.masking.finding import Finding

Run = Callable[..., tuple[tuple[Finding, ...], list[int]]]

_ALL = build_scanner()


def _standard(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _for_urls(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _masked(text: str) -> str:
    return replace(text, merge(_ALL.scan(text), _ALL.entities))


@pytest.mark.parametrize("encode", [_standard, _for_urls])
def test_every_value_is_found_in_base64_wherever_it_stands_in_it(
    encode: Callable[[str], str], run: Run
) -> None:
    for entity in ENTITIES:
        for value in ENTITIES[entity]:
            before, after = placed(entity, value)
            if not (before + value + after).isascii():
                continue
            for lead in ("", "a", "ab"):
                text = f"see {encode(lead + before + value + after)} there"
                whole = _ALL.scan(text)
                assert entity in {finding.entity for finding in whole}, (entity, text)
                assert run(_ALL.incremental(), list(text))[0] == whole


def test_values_in_base64_are_found_when_split_anywhere(run: Run) -> None:
    for entity in ("EMAIL_ADDRESS", "CREDIT_CARD", "AWS_ACCESS_KEY", "PRIVATE_KEY"):
        text = f"x={_standard('It is ' + ENTITIES[entity][0] + ', or so')}; and more"
        whole = _ALL.scan(text)
        assert entity in {finding.entity for finding in whole}
        for at in range(len(text) + 1):
            assert run(_ALL.incremental(), [text[:at], text[at:]])[0] == whole


# The one after `I` begins like text where it does not begin, too.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (_standard("jane@example.com"), "[EMAIL_ADDRESS]"),
        (_standard("mail jane@example.com"), _standard("mail jane@example.com")[:6] + "[EMAIL_ADDRESS]"),
        (_standard("jane@example.com and on"), "[EMAIL_ADDRESS]" + _standard("jane@example.com and on")[22:]),
        ("xy" + _standard("jane@example.com"), "xy[EMAIL_ADDRESS]"),
        ("data:text/plain;base64," + _standard("jane@example.com"), "data:text/plain;base64,[EMAIL_ADDRESS]"),
        ("I" + _standard("WCOIRPLAHQOYVN1 jane@example.com"), "IV0NPSVJQTEFIUU9ZVk4xI[EMAIL_ADDRESS]"),
        ("jane" + _standard("jane@example.com"), "jane" + _standard("jane@example.com")),
        (_standard(_standard("jane@example.com")), "[EMAIL_ADDRESS]"),
        (_standard(_standard(_standard("jane@example.com"))), "[EMAIL_ADDRESS]"),
        (
            _standard("a jane%40example.com b"),
            _standard("a j")[:2] + "[EMAIL_ADDRESS]" + _standard("a jane%40example.com b")[27:],
        ),
        (_standard("\u00e9 jane@example.com"), _standard("\u00e9 jane@example.com")),
    ],
)
def test_the_characters_that_say_a_value_are_replaced(text: str, expected: str) -> None:
    assert _masked(text) == expected


def test_a_finding_covers_every_character_that_has_a_bit_of_the_value() -> None:
    for lead, tail in product(range(4), range(4)):
        text = "." * lead + " jane@example.com " + "." * tail
        encoded = _standard(text)
        (finding,) = _ALL.scan(encoded)
        assert finding.value == "jane@example.com"
        left = encoded[: finding.start] + "A" * (finding.end - finding.start) + encoded[finding.end :]
        assert not set("janexmplco@") & set(base64.b64decode(left + "=" * (-len(left) % 4)).decode("latin-1"))


def test_a_quantum_is_of_text_when_its_classes_say_so() -> None:
    quantum = compile_regex(rf"\A{base64_detector._QUANTUM}\z")
    generator = random.Random(3)
    text = [*range(0x20, 0x7F), 9, 10, 13]
    for _ in range(5_000):
        assert quantum.search(base64.b64encode(bytes(generator.choices(text, k=3))))
        beyond = [generator.choice(text) for _ in range(3)]
        beyond[generator.randrange(3)] = generator.randrange(0x80, 0x100)
        assert not quantum.search(base64.b64encode(bytes(beyond)))


def test_binary_data_is_left_alone() -> None:
    generator = random.Random(5)
    for _ in range(20):
        text = base64.b64encode(generator.randbytes(20_000)).decode()
        assert [f for f in _ALL.scan(text) if len(f.value) != f.end - f.start] == []


def _wrapped(encoded: str, width: int, end: str) -> str:
    return end.join(encoded[at : at + width] for at in range(0, len(encoded), width))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n    ", "\r\n\t"])
@pytest.mark.parametrize("width", [60, 64, 72, 76])
def test_a_run_in_lines_is_one_wherever_a_line_ends_in_the_value(width: int, end: str, run: Run) -> None:
    for lead in range(0, 76, 3):
        encoded = _standard("." * lead + " jane.doe.of.somewhere@example.com, or so and so on and on ")
        text = f"see\n{_wrapped(encoded, width, end)}{end}there"
        whole = _ALL.scan(text)
        assert [finding.value for finding in whole] == ["jane.doe.of.somewhere@example.com"]
        assert run(_ALL.incremental(), list(text))[0] == whole


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_key_in_lines_of_base64_is_masked_to_its_end_however_it_is_cut(layers: int, run: Run) -> None:
    generator = random.Random(7)
    key = _wrapped(base64.b64encode(generator.randbytes(300)).decode(), 64, "\n")
    text = f"-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"
    for _ in range(layers):
        text = _wrapped(_standard(text), 76, "\n") + "\n"
    whole = _ALL.scan(f"key:\n{text}.")
    assert [(finding.entity, finding.start) for finding in whole] == [("PRIVATE_KEY", 5)]
    assert whole[0].end >= 5 + len(text) - 8 * layers  # the line end behind the key is none of it
    for size in (1, 7, 76, 77, 78, 500):
        pieces = [f"key:\n{text}."[at : at + size] for at in range(0, len(text) + 6, size)]
        assert run(_ALL.incremental(), pieces)[0] == whole


def test_lines_that_are_split_anywhere_are_one(run: Run) -> None:
    encoded = _standard("." * 40 + " jane.doe@example.com " + "." * 40)
    text = f"a\n{_wrapped(encoded, 76, chr(13) + chr(10))}\r\nb"
    whole = _ALL.scan(text)
    assert len(whole) == 1
    for at in range(len(text) + 1):
        assert run(_ALL.incremental(), [text[:at], text[at:]])[0] == whole


def test_short_lines_are_lines_of_their_own() -> None:
    for text in (
        "jane@example.com\norg",
        "4111 1111\n1111 1111",
        "x" * 59 + "\n" + "4" * 3,
        "-" * 70 + "\nA",
    ):
        assert _masked(text) == _masked(text.partition("\n")[0]) + "\n" + text.partition("\n")[2]


def test_a_long_run_is_looked_into_up_to_the_limit_and_held_back_no_further(run: Run) -> None:
    prose = "All work and no play makes Jack a dull boy. " * 200
    for at, is_found in ((100, True), (6_000, True), (6_300, False)):
        text = f"see {_standard(prose[:at] + ' jane@example.com ' + prose)}, or so"
        whole = _ALL.scan(text)
        assert bool(whole) == is_found
        for size in (5, 64, 1_000):
            found, held = run(_ALL.incremental(), [text[i : i + size] for i in range(0, len(text), size)])
            assert found == whole
            assert max(held) <= LONGEST * 9 // 8 + size


def test_json_and_lines_in_base64_are_text() -> None:
    for text in ('{"user": "jane@example.com"}', "tabs\tand\r\nlines jane@example.com"):
        assert [finding.value for finding in _ALL.scan(_standard(text))] == ["jane@example.com"]


def test_prose_and_paths_hold_back_next_to_nothing_for_it() -> None:
    text = (
        "See /usr/lib/python3/site-packages for internationalization; a CamelCaseIdentifierOfThisLength too. "
    )
    stream = _ALL.incremental()
    length, held = 0, []
    for word in text.replace("/", "/ ").split(" ")[:-1] * 5:
        length += len(word) + 1
        held.append(length - stream.feed(word + " ").settled)
    assert max(held) <= 3
