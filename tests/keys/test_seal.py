"""A seal opens to what was sealed, unchanged and in its lifetime, or not at all."""

from __future__ import annotations

import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Forbidden, Unreadable
from authz_service.keys.seal import LARGEST_SEAL, Sealed, Sealer
from authz_service.view.caller import Caller

KEY = bytes(range(32))
NOW = 1_800_000_000.0
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
CALLERS = st.builds(
    Caller,
    issuer=WORDS,
    subject=WORDS,
    expires_at=st.floats(0, 1e12),
    groups=st.lists(WORDS, max_size=4).map(tuple),
    groups_complete=st.booleans(),
    person=st.none() | WORDS,
    claims=st.dictionaries(WORDS, JSON, max_size=4),
    key=WORDS,
    scope=st.none() | st.lists(WORDS, max_size=3).map(tuple),
)
SEALED = st.builds(Sealed, exchange=WORDS, caller=CALLERS, method=WORDS, path=WORDS, host=WORDS, source=WORDS)
ALICE = Sealed(
    "ses_1",
    Caller("urn:issuer", "alice", NOW + 60, ("staff",)),
    "POST",
    "/v1/chat/completions?x=1",
    "gateway",
)


@given(SEALED, st.floats(0, 59))
def test_what_was_sealed_comes_out_again(sealed: Sealed, later: float) -> None:
    sealer = Sealer(KEY)
    assert sealer.open(sealer.seal(sealed, NOW), NOW + later) == sealed


SEAL = Sealer(KEY).seal(ALICE, NOW)
"""One for all examples: each sealer has a run of its own, and what is drawn must not depend on it."""


@given(st.data())
def test_a_seal_with_any_change_is_refused(data: st.DataObject) -> None:
    text = SEAL
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[place]))
    changed = data.draw(
        st.sampled_from(
            [
                text[:place] + other + text[place + 1 :],
                text[:place] + text[place + 1 :],
                text[:place] + other + text[place:],
                text[:place],
                text + other,
            ]
        )
    )
    with pytest.raises(Forbidden):
        Sealer(KEY).open(changed, NOW)


@given(st.text(max_size=300))
def test_what_is_no_seal_is_refused(text: str) -> None:
    with pytest.raises(Forbidden):
        Sealer(KEY).open(text, NOW)


@pytest.mark.parametrize("later", [60.0, 60.5, 86_400.0, -5.001, -86_400.0, float("nan"), float("inf")])
def test_a_seal_is_good_from_its_making_for_its_life_only(later: float) -> None:
    sealer = Sealer(KEY, life=60.0)
    with pytest.raises(Forbidden, match="lifetime"):
        sealer.open(sealer.seal(ALICE, NOW), NOW + later)


def test_a_replica_with_a_clock_that_is_a_little_behind_opens_it_too() -> None:
    assert Sealer(KEY).open(Sealer(KEY).seal(ALICE, NOW), NOW - 4.9) == ALICE


@given(st.floats(1.7e9, 4e9), st.floats(0.001, 1e6))
def test_a_seal_is_good_in_the_moment_of_its_making(now: float, life: float) -> None:
    sealer = Sealer(KEY, life)
    assert sealer.open(sealer.seal(ALICE, now), now) == ALICE


def test_whoever_opens_a_seal_says_how_old_it_may_be() -> None:
    seal = Sealer(KEY, life=3600.0).seal(ALICE, NOW)
    with pytest.raises(Forbidden, match="lifetime"):
        Sealer(KEY, life=60.0).open(seal, NOW + 61)


def test_a_seal_by_another_key_is_refused() -> None:
    with pytest.raises(Forbidden, match="not made by this service"):
        Sealer(KEY).open(Sealer(bytes(32)).seal(ALICE, NOW), NOW)


def test_a_mac_that_the_same_key_made_for_another_purpose_is_refused() -> None:
    body = Sealer(KEY).seal(ALICE, NOW)[64:]
    for purpose in (b"", b"authz pseudonym 1"):
        key = hmac.digest(KEY, purpose, "sha256") if purpose else KEY
        with pytest.raises(Forbidden):
            Sealer(KEY).open(hmac.digest(key, body.encode(), "sha256").hex() + body, NOW)


def test_a_seal_does_not_outgrow_its_limit() -> None:
    large = Sealed("ses_1", ALICE.caller, "GET", "/" + "x" * LARGEST_SEAL, "gateway")
    with pytest.raises(Unreadable) as caught:
        Sealer(KEY).seal(large, NOW)
    assert caught.value.status == 431


def test_a_huge_text_is_refused_before_it_is_hashed() -> None:
    with pytest.raises(Forbidden, match="length"):
        Sealer(KEY).open("0" * (LARGEST_SEAL + 1), NOW)


def test_a_refusal_repeats_nothing_of_the_seal() -> None:
    text = Sealer(KEY).seal(ALICE, NOW)
    with pytest.raises(Forbidden) as caught:
        Sealer(KEY).open(text[:-1], NOW)
    assert "alice" not in str(caught.value)
    assert caught.value.code == "invalid_seal"


def test_the_sealed_text_is_json_behind_the_mac_so_that_it_crosses_envoys_metadata_unchanged() -> None:
    assert isinstance(json.loads(Sealer(KEY).seal(ALICE, NOW)[64:]), list)


@pytest.mark.parametrize(
    ("key", "life"), [(b"short", 60.0), (KEY, 0.0), (KEY, float("inf")), (KEY, float("nan"))]
)
def test_a_short_key_and_a_life_without_bounds_are_refused(key: bytes, life: float) -> None:
    with pytest.raises(ValueError, match="a seal"):
        Sealer(key, life)


def test_a_sealer_tells_its_own_seals_from_those_of_another_with_the_same_key() -> None:
    mine, others = Sealer(KEY), Sealer(KEY)
    assert mine.open(mine.seal(ALICE, NOW), NOW).is_of_this_run
    opened = others.open(mine.seal(ALICE, NOW), NOW)
    assert opened == ALICE
    assert not opened.is_of_this_run
