"""How fast sensitive values are found, in whole texts and in streams, and how much of a stream waits."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator
from pydoc_data.topics import topics
from random import Random

from bench.micro.figure import Figure, Room, cpu_seconds_each
from bench.peers.detecting import detecting

from authz_service.masking.catalogue import CATALOGUE
from authz_service.masking.detectors import build_scanner
from authz_service.masking.entity_type import Pattern
from authz_service.masking.seams import Scanner

THIRTY = (
    "ANTHROPIC_KEY", "AUTHZ_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "AZURE_STORAGE_KEY", "BR_CPF",
    "CREDIT_CARD", "CRYPTO", "EMAIL_ADDRESS", "ES_NIF", "GITHUB_TOKEN", "GITLAB_TOKEN", "GOOGLE_API_KEY",
    "HUGGINGFACE_TOKEN", "IBAN_CODE", "IN_PAN", "IP_ADDRESS", "IT_FISCAL_CODE", "JWT", "MAC_ADDRESS",
    "NPM_TOKEN", "OPENAI_KEY", "PHONE_NUMBER", "SG_NRIC_FIN", "SLACK_TOKEN", "STRIPE_KEY", "TWILIO_KEY",
    "UK_NINO", "URL_CREDENTIALS", "US_SSN",
)  # fmt: skip
_VALUES = ("jane.doe@example.com", "4111 1111 1111 1111", "203.0.113.77", "AKIAIOSFODNN7EXAMPLE")
_EACH = 2_000
"""Characters of prose for each value in it."""

_STREAM = 200_000
_TOKEN = 4
"""Characters of a delta, about a token's."""

_FAR = 100
"""Deltas from the end of the stream at which no more is asked how long one waits."""

_ANSWERS_APART = 50


def detection(room: Room) -> Iterator[Figure]:
    """Of English prose with some code (Python's own help texts) and a value every 2,000 characters."""
    text = prose()
    thirty, every = build_scanner(THIRTY), build_scanner()
    patterns = [re.compile(_as_python(pattern)) for pattern in _patterns(THIRTY)]

    def speed(work: Callable[[], object]) -> float:
        return len(text) / 1e6 / cpu_seconds_each(work, seconds=room.seconds)

    yield Figure(f"{len(THIRTY)} entity types in a whole text", speed(lambda: thirty.scan(text)), "MB/CPU s")
    yield Figure(f"all {len(every.entities)} of them", speed(lambda: every.scan(text)), "MB/CPU s")
    alone = speed(lambda: [pattern.findall(text) for pattern in patterns])
    yield Figure(f"the {len(THIRTY)} by `re`, one after another, unchecked", alone, "MB/CPU s")
    deltas = [text[at : at + _TOKEN] for at in range(0, _STREAM, _TOKEN)]
    for name, scanner in ((f"{len(THIRTY)} entity types", thirty), (f"all {len(every.entities)}", every)):
        each = cpu_seconds_each(lambda s=scanner: _held(s, deltas), seconds=room.seconds) / len(deltas)  # type: ignore[misc]  # mypy cannot infer a lambda's default
        yield Figure(f"a delta of {_TOKEN} characters, {name}", 1e6 * each, "CPU µs")
    yield from detecting(text, room)
    held = _held(every, deltas)
    waited = sorted(_waited(held))
    late = sorted(_late(every, deltas))
    held.sort()
    yield Figure("held back after a delta, median", statistics.median(held), "characters")
    yield Figure("held back after a delta, p95", held[len(held) * 95 // 100], "characters")
    yield Figure("a delta waits for later ones, median", statistics.median(waited), "deltas")
    yield Figure("a delta waits for later ones, p95", waited[len(waited) * 95 // 100], "deltas")
    yield Figure("the first text comes with the delta, median", statistics.median(late), "deltas")
    yield Figure("the first text comes with the delta, p95", late[len(late) * 95 // 100], "deltas")


def prose() -> str:
    """The text that is searched, always the same for one version of Python."""
    random = Random(1)
    text = "\n".join(topics[name] for name in sorted(topics))
    parts = [text[at : at + _EACH] for at in range(0, len(text), _EACH)]
    return "".join(f"{part} {random.choice(_VALUES)} " for part in parts)


def _held(scanner: Scanner, deltas: list[str]) -> list[int]:
    """How much a stream holds back after each delta."""
    stream = scanner.incremental()
    held: list[int] = []
    length = 0
    for delta in deltas:
        length += len(delta)
        held.append(length - stream.feed(delta).settled)
    stream.finish()
    return held


def _waited(held: list[int]) -> list[int]:
    """How many deltas after its own each delta has gone out in full, from what was held back after each."""
    waited: list[int] = []
    settled = [(at + 1) * _TOKEN - left for at, left in enumerate(held)]
    out = 0
    for at in range(len(held) - _FAR):
        out = max(out, at)
        while out < len(held) - 1 and settled[out] < (at + 1) * _TOKEN:
            out += 1
        waited.append(out - at)
    return waited


def _late(scanner: Scanner, deltas: list[str]) -> list[int]:
    """For answers that begin at many places of the text, the delta with which something goes out first."""
    late: list[int] = []
    for begin in range(0, len(deltas) - _FAR, _ANSWERS_APART):
        stream = scanner.incremental()
        settled = 0
        at = begin
        while not settled and at < begin + _FAR:
            settled = stream.feed(deltas[at]).settled
            at += 1
        late.append(at - begin)
    return late


def _patterns(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield from (shape.pattern for shape in CATALOGUE[name].shapes if isinstance(shape, Pattern))


def _as_python(pattern: str) -> str:
    """RE2 writes a character as `\\x{A0}`, Python as `\\u00a0`."""
    return re.sub(r"\\x\{([0-9A-F]+)\}", lambda match: f"\\u{int(match[1], 16):04x}", pattern)
