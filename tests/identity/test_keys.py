"""A JWK Set yields the keys that can verify, and skips every other without failing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.identity.keys import KEY_TYPES, MOST_KEYS, read_jwks, select

if TYPE_CHECKING:
    from tests.identity.provider import Provider


def read(*keys: Any) -> list[str | None]:
    return [key.kid for key in read_jwks(json.dumps({"keys": keys}).encode())]


def test_keys_of_each_kind_are_read(provider: Provider) -> None:
    assert read(*(provider.jwk(name) for name in ("rsa", "ec", "ed"))) == ["rsa", "ec", "ed"]


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "EC"},
        {"kty": None},
        {"kid": 7},
        {"alg": 7},
        {"n": "AQAB"},
        {"n": "!!!"},
        {"e": ""},
        {"d": "AQAB"},
        {"k": "AQAB"},
        {"n": 7},
    ],
)
def test_a_key_that_cannot_verify_is_skipped_and_the_others_stay(
    provider: Provider, changes: dict[str, Any]
) -> None:
    assert read(provider.jwk("rsa", **changes), provider.jwk("ec")) == ["ec"]


def test_a_short_rsa_key_and_a_foreign_curve_are_skipped(provider: Provider) -> None:
    assert (
        read(provider.jwk("small"), provider.jwk("ec", crv="secp256k1"), provider.jwk("ed", crv="X25519"))
        == []
    )


def test_a_key_that_is_listed_twice_is_one_key(provider: Provider) -> None:
    assert read(provider.jwk("rsa"), provider.jwk("rsa"), provider.jwk("other", kid="rsa")) == ["rsa", "rsa"]


def test_a_point_that_is_not_on_the_curve_is_skipped(provider: Provider) -> None:
    assert read(provider.jwk("ec", x="AAAA" * 10 + "AAA")) == []


def test_a_key_serves_only_the_algorithms_of_its_type_and_its_own(provider: Provider) -> None:
    document = json.dumps(
        {"keys": [provider.jwk("rsa", alg="RS512"), provider.jwk("ec"), provider.jwk("ed")]}
    )
    keys = read_jwks(document.encode())
    fitting = {a: [key.kid for key in select(keys, None, a)] for a in [*KEY_TYPES, "HS256", "none", ""]}
    assert {a: kids for a, kids in fitting.items() if kids} == {
        "RS512": ["rsa"],
        "ES256": ["ec"],
        "EdDSA": ["ed"],
    }


def test_a_key_is_told_from_another_under_the_same_id(provider: Provider) -> None:
    first, again, second = (
        read_jwks(json.dumps({"keys": [provider.jwk(name, kid="k")]}).encode())[0]
        for name in ("rsa", "rsa", "other")
    )
    assert first == again
    assert first != second


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": null}',
        b"\xff",
        b"[" * 5_000,
        b'{"keys": [1}',
    ],
)
def test_what_is_no_jwk_set_is_a_value_error(document: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_jwks(document)


def test_a_set_of_too_many_keys_is_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        read_jwks(json.dumps({"keys": [{}] * (MOST_KEYS + 1)}).encode())


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["kty", "crv", "n", "e", "x", "y", "kid", "use", "alg", "key_ops", "d"]),
            st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "", "sig"])
            | st.none()
            | st.integers()
            | st.lists(st.text(max_size=3), max_size=2),
        )
        | st.none()
        | st.text(max_size=3),
        max_size=4,
    )
)
def test_no_entry_of_a_set_can_break_the_reading_of_it(entries: list[Any]) -> None:
    read(*entries)
