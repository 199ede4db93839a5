"""Texts without a finding are scanned once; nothing else is remembered."""

from __future__ import annotations

import pytest

from authz_service.errors import Unreadable
from authz_service.masking.clean_texts import CleanTexts, digest_of
from authz_service.masking.detectors import build_scanner
from authz_service.masking.scanner import DetectorScanner


class _Counted(DetectorScanner):
    """A scanner that counts how often a text is looked at."""

    looks = 0

    def hits(self, window: bytes) -> list[int]:
        self.looks += 1
        return super().hits(window)


@pytest.fixture(scope="module")
def detectors() -> DetectorScanner:
    scanner = build_scanner(("CREDIT_CARD", "EMAIL_ADDRESS"))
    assert isinstance(scanner, DetectorScanner)
    return scanner


@pytest.mark.parametrize("embedded_json", [False, True])
def test_a_text_without_a_finding_is_looked_at_once(detectors: DetectorScanner, embedded_json: bool) -> None:
    scanner = _Counted(detectors.detectors)
    text = '{"city": "Bergen", "days": "three days of rain"}'
    assert scanner.scan(text, embedded_json=embedded_json) == ()
    looks = scanner.looks
    assert looks
    assert scanner.scan(text, embedded_json=embedded_json) == ()
    assert scanner.looks == looks


def test_a_text_with_a_finding_is_looked_at_each_time(detectors: DetectorScanner) -> None:
    scanner = _Counted(detectors.detectors)
    first = scanner.scan("write to a@example.com")
    looks = scanner.looks
    assert scanner.scan("write to a@example.com") == first != ()
    assert scanner.looks == 2 * looks


def test_what_is_clean_as_plain_text_is_looked_at_as_json(detectors: DetectorScanner) -> None:
    hidden = r'{"to": "4111111\ud835\udfcf 11111111"}'  # a digit beyond U+FFFF, as JSON writes it
    assert detectors.scan(hidden) == ()
    assert [f.entity for f in detectors.scan(hidden, embedded_json=True)] == ["CREDIT_CARD"]
    assert detectors.scan(hidden) == ()


def test_a_text_that_is_refused_is_refused_again(detectors: DetectorScanner) -> None:
    for _ in range(2):
        with pytest.raises(Unreadable):
            detectors.scan("\ud800")


def test_what_was_asked_for_last_is_remembered_and_the_rest_is_forgotten() -> None:
    texts = CleanTexts(most=2)
    for name in "ab":
        texts.add(digest_of(name))
    texts.add(digest_of("c"))
    assert texts.has(digest_of("a"))  # and that counts as asked for
    texts.add(digest_of("d"))
    assert texts.has(digest_of("a"))
    assert texts.has(digest_of("c"))
    assert not texts.has(digest_of("b"))


def test_texts_that_differ_have_other_digests() -> None:
    assert len({digest_of(text) for text in ("", "a", "A", "a ", "\ud800", "\udfff")}) == 6
