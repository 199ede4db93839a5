"""Presidio beside our detectors: what it finds counts as ours does, and where it fails, the request does."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from authz_service.config.masking_values import PresidioDetector
from authz_service.errors import Misconfigured, Unavailable, Unreadable
from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding
from authz_service.masking.seams import Scanner
from authz_service.runtime import presidio
from authz_service.runtime.presidio import LONGEST, with_presidio

TEXT = "Mail jane@example.com about 123e4567-e89b-12d3-a456-426614174000, see https://example.com/x"


def scanner(*names: str, threshold: float = 0.3, model: str = "none", language: str = "en") -> Scanner:
    detectors = [PresidioDetector(name, language, model, threshold) for name in names]
    return with_presidio(build_scanner(["EMAIL_ADDRESS"]), detectors)


def test_its_findings_stand_beside_ours() -> None:
    both = scanner("UUID", "URL")
    assert both.entities == {"EMAIL_ADDRESS", "UUID", "URL"}
    found = both.scan(TEXT)
    assert Finding("EMAIL_ADDRESS", 5, 21) in found
    assert Finding("UUID", 28, 64) in found
    assert Finding("URL", 70, len(TEXT)) in found
    assert {f.value for f in found} >= {"jane@example.com", "https://example.com/x"}


def test_only_the_entity_types_that_are_asked_for_are_found() -> None:
    assert {finding.entity for finding in scanner("UUID").scan(TEXT)} == {"EMAIL_ADDRESS", "UUID"}


def test_a_threshold_leaves_out_what_is_less_sure() -> None:
    text = "My number is 123e4567-e89b-12d3-a456-426614174000 and the licence AC333991."
    assert "US_DRIVER_LICENSE" in {finding.entity for finding in scanner("US_DRIVER_LICENSE").scan(text)}
    assert not scanner("US_DRIVER_LICENSE", threshold=0.9).scan(text)


def test_the_arguments_of_a_tool_call_are_looked_into() -> None:
    (found,) = scanner("URL").scan('{"see": "https:\\/\\/example.com/x"}', embedded_json=True)
    assert (found.entity, found.start, found.end) == ("URL", 9, 32)


def test_a_failing_recogniser_fails_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    both = scanner("UUID")
    engine = presidio._engine("en", "none")

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("a text that nobody may read")

    monkeypatch.setattr(engine, "analyze", fails)
    with pytest.raises(Unavailable) as refused:
        both.scan(TEXT)
    assert refused.value.code == "detector_failed"
    assert "nobody may read" not in str(refused.value)


def test_a_pattern_that_takes_too_long_fails_the_request_where_presidio_would_skip_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import presidio_analyzer  # type: ignore[import-not-found,unused-ignore]  # in an environment of its own
    from presidio_analyzer import pattern_recognizer  # type: ignore[import-not-found,unused-ignore]

    engine = presidio._engine("en", "none")
    slow = presidio_analyzer.Pattern("slow", "(?:a|aa)+b", 0.5)
    recognizer = presidio_analyzer.PatternRecognizer("SLOW", patterns=[slow], name="slow")
    monkeypatch.setattr(pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 0.2)
    engine.registry.add_recognizer(recognizer)
    try:
        both = scanner("SLOW")
        assert [finding.entity for finding in both.scan("see aaab")] == ["SLOW"]
        with pytest.raises(Unavailable):
            both.scan("a" * 60)
        assert both.scan("and goes on") == ()
    finally:
        engine.registry.remove_recognizer("slow")


def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(Unreadable) as refused:
        scanner("UUID").scan("a" * (LONGEST + 1))
    assert (refused.value.code, refused.value.status) == ("text_too_long", 413)


def test_a_name_that_it_does_not_know_is_refused_with_those_that_it_does() -> None:
    with pytest.raises(Misconfigured, match=r"PERSON: Presidio finds no such entity type here.*US_SSN"):
        scanner("PERSON")


@pytest.mark.parametrize(("language", "model"), [("en", "en_core_web_lg"), ("de", "de_core_news_lg")])
def test_a_model_that_is_not_here_is_named_and_never_fetched(
    language: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise AssertionError("something is fetched")

    monkeypatch.setattr(socket.socket, "connect", refuses)
    with pytest.raises(Misconfigured, match=f"the model {model} is not installed"):
        scanner("PERSON", model=model, language=language)


def test_nothing_is_fetched_and_nothing_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise AssertionError("something is fetched")

    monkeypatch.setattr(socket, "getaddrinfo", refuses)
    caplog.set_level(logging.DEBUG)
    assert scanner("URL").scan("see https://some-secret.example.co.uk/x")
    assert caplog.text == ""
