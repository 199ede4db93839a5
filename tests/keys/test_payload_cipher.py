"""A sealed payload opens with its key, seed and digest, and with nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.keys.payload_cipher import Altered, seal, unseal

KEY, SEED = bytes(range(32)), bytes(range(32, 64))


@given(st.binary(max_size=200))
def test_what_was_sealed_opens_again_and_its_digest_is_over_salt_and_bytes(body: bytes) -> None:
    digest, sealed = seal(KEY, SEED, body)
    opened = unseal(KEY, SEED, digest, sealed)
    assert opened.body == body
    assert digest == hashlib.sha256(opened.salt + body).digest()
    assert body not in sealed or len(body) < 4


@given(place=st.integers(0, 3), at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_bit_that_changed_anywhere_is_found(place: int, at: int, bit: int) -> None:
    digest, sealed = seal(KEY, SEED, b"the prompt")
    parts = [KEY, SEED, digest, sealed]
    changed = bytearray(parts[place])
    changed[at % len(changed)] ^= 1 << bit
    parts[place] = bytes(changed)
    with pytest.raises(Altered):
        unseal(*parts)


def test_each_seed_makes_another_key_and_another_salt() -> None:
    first, second = seal(KEY, SEED, b"same"), seal(KEY, bytes(32), b"same")
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_the_salt_is_nothing_that_lies_beside_the_payload() -> None:
    digest, _ = seal(KEY, SEED, b"alice")
    assert digest != hashlib.sha256(SEED + b"alice").digest()


@pytest.mark.parametrize(("key", "seed"), [(b"short", SEED), (KEY, b"short")])
def test_keys_and_seeds_of_another_length_are_refused(key: bytes, seed: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        seal(key, seed, b"")
