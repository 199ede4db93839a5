"""Masks by operator, detectors with options and values in disguise, through the real Envoy."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator

import pytest
from tests.e2e.people import ask, said
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import completion, stream

_MASKS = """\
masks:
  - {{name: cards, in: [requests, answers], entities: [CREDIT_CARD], with: partial}}
  - {{name: people, in: [requests, answers], entities: [EMAIL_ADDRESS], with: hash}}
  - {{name: numbers, in: [requests, answers], entities: [US_SSN], with: drop}}
  - {{name: staff, in: [requests, answers], entities: [EMPLOYEE_ID, UK_NHS]}}
detectors:
  - {{name: EMPLOYEE_ID, pattern: 'E-\\d{{6}}', context: [employee]}}
  - {{name: EMAIL_ADDRESS, allow: [info@example.com]}}
"""
_BEFORE, _, _REST = CONFIG.partition("masks:\n")
_FILE = _BEFORE + _MASKS + "holds:" + _REST.partition("holds:")[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    masking = Stack(tmp_path_factory.mktemp("masks"))
    masking.config = _FILE
    with masking as running:
        yield running


def _forwarded(stack: Stack, text: str) -> str:
    ask(stack.sdk("alice", "staff"), text)
    return str(stack.upstream.requests[-1].json()["messages"][0]["content"])


def test_each_operator_does_its_work_both_ways_and_in_any_cut(stack: Stack) -> None:
    text = (
        "4111 1111 1111 1111, jane@example.com, 536-22-8726, info@example.com, E-123457, employee E-123456."
    )
    forwarded = _forwarded(stack, text)
    hashed = forwarded.split(", ")[1]
    assert hashed.startswith("[EMAIL_ADDRESS:")
    expected = f"[CREDIT_CARD:1111], {hashed}, , info@example.com, E-123457, employee [EMPLOYEE_ID]."
    assert forwarded == expected
    stack.upstream.answer_with(completion(text))
    assert said(ask(stack.sdk("alice", "staff"), "And?")) == expected
    for size in (1, 4, 50):
        stack.upstream.answer_with(stream([text[at : at + size] for at in range(0, len(text), size)]))
        chunks = stack.sdk("alice", "staff").chat.completions.create(
            model="llama", messages=[{"role": "user", "content": "And?"}], stream=True
        )
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == expected


def test_hashes_are_the_same_after_a_restart_and_their_key_is_private(stack: Stack) -> None:
    before = _forwarded(stack, "jane@example.com")
    stack.stop()
    stack.start()
    assert _forwarded(stack, "JANE@example.com") == before
    assert stat.S_IMODE((stack.data / "mask.key").stat().st_mode) == 0o600


def test_values_in_disguise_never_reach_the_model(stack: Stack) -> None:
    encoded = base64.b64encode(b"card 4111 1111 1111 1111").decode()
    for text in ("４１１１ 1111 1111 1111", "4111\u200b111111111111", "4111%201111%201111%201111", encoded):  # noqa: RUF001
        assert "[CREDIT_CARD:1111]" in _forwarded(stack, f"It is {text}, or so.")
