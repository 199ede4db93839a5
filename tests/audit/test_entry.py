"""An entry's bytes are canonical, bounded, and say what was put in."""

from __future__ import annotations

import hashlib
from enum import IntEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.audit.entry import (
    LARGEST_ENTRY,
    PayloadRef,
    decode,
    encode,
    microseconds,
    payload_digest,
    rfc3339,
)
from authz_service.errors import Unreadable

SCALARS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.booleans(),
    st.none(),
)
KEYS = st.text(st.characters(max_codepoint=127), max_size=12)
DATA = st.dictionaries(KEYS, st.one_of(SCALARS, st.lists(SCALARS), st.dictionaries(KEYS, SCALARS)))
REFS = st.dictionaries(
    KEYS, st.builds(PayloadRef, st.binary(min_size=32, max_size=32), st.integers(0, 2**40))
)
TIMES = st.integers(0, 4 * 10**15)


@given(st.sampled_from(Kind), st.none() | st.uuids().map(str), DATA, REFS, TIMES, st.integers(1, 2**53 - 1))
def test_the_bytes_are_those_of_rfc_8785_and_read_back(
    kind: Kind, session: str | None, data: dict[str, object], refs: dict[str, PayloadRef], at: int, seq: int
) -> None:
    draft = EntryDraft(kind, session, data)  # type: ignore[arg-type]  # wider than a draft's data
    body = encode(draft, sequence=seq, at=at, payloads=refs)
    document = {
        "v": 1,
        "seq": seq,
        "at": rfc3339(at),
        "kind": kind.value,
        "session": session,
        "data": data,
        "payloads": {n: {"digest": r.digest.hex(), "size": r.size} for n, r in refs.items()},
    }
    assert body == rfc8785.dumps(document)  # type: ignore[arg-type]  # its types are narrower than JSON
    entry = decode(body)
    assert (entry.sequence, entry.at, entry.kind, entry.session) == (seq, at, kind.value, session)
    assert (entry.data, entry.payloads) == (data, refs)


@given(TIMES)
def test_a_time_has_six_digits_and_reads_back(at: int) -> None:
    text = rfc3339(at)
    assert len(text) == len("2026-11-05T12:00:00.000000Z")
    assert microseconds(text) == at


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        2**53,
        -(2**53),
        float("nan"),
        b"bytes",
        "\ud800",
        [1.5],
        [[1]],
        {"a": [1]},
        {"a": 1.5},
        (1,),
        object(),
        {"é": 1},
        {"a": 2**60},
    ],
)
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    draft = EntryDraft(Kind.REQUEST_RECEIVED, None, {"x": value})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="entry"):
        encode(draft, sequence=1, at=0, payloads={})


def test_a_value_of_an_enumeration_is_written_as_what_it_is() -> None:
    class Status(IntEnum):
        DENIED = 403

    both: list[Scalar] = [Kind.HOLD_VOTED, Status.DENIED]
    draft = EntryDraft(
        Kind.REQUEST_REFUSED, None, {"kind": Kind.HOLD_VOTED, "status": Status.DENIED, "all": both}
    )
    body = encode(draft, sequence=1, at=0, payloads={})
    assert decode(body).data == {"kind": "hold.voted", "status": 403, "all": ["hold.voted", 403]}


def test_keys_and_payload_names_are_ascii() -> None:
    with pytest.raises(ValueError, match="ASCII"):
        encode(EntryDraft(Kind.REQUEST_RECEIVED, None, {"é": 1}), sequence=1, at=0, payloads={})
    ref = PayloadRef(bytes(32), 0)
    with pytest.raises(ValueError, match="ASCII"):
        encode(EntryDraft(Kind.REQUEST_RECEIVED), sequence=1, at=0, payloads={"é": ref})


def test_an_entry_above_64_kib_is_refused_and_one_of_just_that_is_not() -> None:
    def of(length: int) -> bytes:
        draft = EntryDraft(Kind.REQUEST_RECEIVED, None, {"path": "x" * length})
        return encode(draft, sequence=1, at=0, payloads={})

    room = LARGEST_ENTRY - len(of(0))
    assert len(of(room)) == LARGEST_ENTRY == 65535
    with pytest.raises(Unreadable) as error:
        of(room + 1)
    assert (error.value.code, error.value.status) == ("entry_too_large", 413)


def test_a_payload_is_digested_after_its_salt() -> None:
    salt = bytes(range(32))
    assert payload_digest(salt, b"prompt") == hashlib.sha256(salt + b"prompt").digest()
    with pytest.raises(ValueError, match="32 bytes"):
        payload_digest(b"short", b"prompt")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"v":2}', b'"v"', b"\xff"])
def test_bytes_that_are_no_entry_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="entry"):
        decode(body)
