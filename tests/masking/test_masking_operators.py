"""What stands in the place of a masked value says as much as its operator lets it say."""

from __future__ import annotations

import json

import pytest

from authz_service.masking.detectors import build_scanner
from authz_service.masking.finding import Finding
from authz_service.masking.operators import Masks, by_type, drop, keyed_hash, partial

_KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4111 1111 1111 1234", "[X:1234]"),
        ("536-22-8726", "[X:8726]"),
        ("DE89 3704 0044 0532 0130 0é", "[X:1300]"),
        ("12345678", "[X]"),
        ("123456789", "[X:6789]"),
        ('secret"\\secret', "[X:cret]"),
        ("", "[X]"),
        ("ééééééééééé", "[X]"),
    ],
)
def test_the_last_four_letters_and_digits_of_a_long_value_are_kept(value: str, expected: str) -> None:
    assert partial("X", value) == expected


def test_a_hash_is_the_same_for_the_same_value_and_key_only() -> None:
    one, other = keyed_hash(_KEY), keyed_hash(_KEY[::-1])
    hashes = {one("A", "jane"), one("A", "john"), one("B", "jane"), other("A", "jane"), one("A", "JANE")}
    assert len(hashes) == 5
    assert one("A", "jane") == keyed_hash(_KEY)("A", "jane")
    assert one("A", "") == "[A]"


def test_a_hash_is_the_same_however_a_value_is_written() -> None:
    operator = keyed_hash(_KEY)
    assert operator("CREDIT_CARD", "4111 1111-1111\u00a01111") == operator("CREDIT_CARD", "4111111111111111")
    assert operator("EMAIL_ADDRESS", "Jane@Example.com") == operator("EMAIL_ADDRESS", "jane@example.com")
    assert operator("JWT", "eyJa-b") != operator("JWT", "eyJab")


def test_a_hash_needs_a_key() -> None:
    for key in (b"", bytes(31)):
        with pytest.raises(ValueError, match="at least 32 bytes"):
            keyed_hash(key)


def test_nothing_is_found_in_what_operators_write() -> None:
    scanner = build_scanner()
    operator = keyed_hash(_KEY)
    for entity in scanner.entities:
        for n in range(50):
            for made in (
                operator(entity, f"value {n}"),
                partial(entity, f"value{n:08}"),
                by_type(entity, ""),
            ):
                assert scanner.scan(f"a {made} b") == ()
                assert json.loads(f'"{made}"') == made


def test_a_drop_leaves_nothing() -> None:
    assert drop("X", "value") == ""


def test_masks_are_the_entity_types_with_an_operator_each() -> None:
    masks = Masks({"A": by_type, "B": partial, "C": drop})
    assert set(masks) == {"A", "B", "C"}
    assert "A" in masks
    assert masks.replacement(Finding("A", 0, 4, value="jane")) == "[A]"
    assert masks.replacement(Finding("B", 0, 9, value="123456789")) == "[B:6789]"
    assert masks.replacement(Finding("B", 0, 9, bare=True, value="123456789")) == '"[B:6789]"'
    assert masks.replacement(Finding("C", 0, 9, bare=True, value="123456789")) == '""'
    assert masks.replacement(Finding("C", 0, 9, value="123456789")) == ""
