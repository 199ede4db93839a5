"""The form of an API key, its hash, and that our own detector finds every one."""

from __future__ import annotations

import pytest

from authz_service.keys.api_key import ApiKeyHashes, is_whole, new_api_key
from authz_service.masking.detectors import build_scanner

KEY = bytes(range(32))


def test_a_key_has_its_prefix_and_43_characters_of_base_62() -> None:
    made = {new_api_key() for _ in range(1000)}
    assert len(made) == 1000
    for key in made:
        assert key.startswith("authz_key_")
        assert len(key) == 53
        assert key.removeprefix("authz_key_").isalnum()
        assert is_whole(key)


def test_our_own_detector_finds_every_key_wherever_it_stands() -> None:
    scanner = build_scanner(custom=[], options={})
    for _ in range(200):
        key = new_api_key()
        text = f"curl -H 'authorization: Bearer {key}' https://gateway"
        (found,) = [f for f in scanner.scan(text) if f.entity == "AUTHZ_KEY"]
        assert text[found.start : found.end] == key


def test_a_key_of_which_anything_was_lost_or_changed_is_not_whole() -> None:
    key = new_api_key()
    for cut in range(1, len(key)):
        assert not is_whole(key[:cut])
        assert not is_whole(key[cut:])
    for place in range(len(key)):
        other = "x" if key[place] != "x" else "y"
        assert not is_whole(key[:place] + other + key[place + 1 :])
    for around in (f" {key}", f"{key} ", f"{key}\n", key.upper(), key.replace("key", "kéy"), ""):
        assert not is_whole(around)


def test_the_checksum_is_that_of_any_time_and_machine() -> None:
    assert is_whole("authz_key_" + "0" * 37 + "2cjoR1")


def test_a_hash_is_one_of_its_key_and_of_the_data_directory() -> None:
    one, two = new_api_key(), new_api_key()
    hashes = ApiKeyHashes(KEY)
    assert hashes.of(one) == ApiKeyHashes(KEY).of(one) != hashes.of(two)
    assert hashes.of(one) != ApiKeyHashes(KEY[::-1]).of(one)
    assert len(hashes.of(one)) == 32
    with pytest.raises(ValueError, match="32 bytes"):
        ApiKeyHashes(b"short")
