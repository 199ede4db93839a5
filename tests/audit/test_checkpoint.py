"""Checkpoints, notes and keys are as C2SP writes them, and a wrong signature convinces nobody."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.checkpoint import (
    BadNote,
    Checkpoint,
    VerifierKey,
    is_signed_by,
    note,
    parse_note,
    sign_head,
    verified,
)
from authz_service.audit.merkle import EMPTY_ROOT
from authz_service.keys.log_key import LogKey, is_ed25519_signature

KEY = LogKey.create("example.com/log")
CHECKPOINT = Checkpoint("example.com/log", 5, bytes(range(32)))

# The example of signed-note, and of Go's sumdb/note, which other logs' tools are tested with.
SUMDB = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    "\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_a_note_of_another_implementation_is_verified() -> None:
    read = parse_note(PETER_NOTE)
    assert read.text.startswith(b"If you think cryptography")
    with pytest.raises(BadNote, match="not a checkpoint"):
        verified(read, [VerifierKey.parse(PETER)], is_ed25519_signature)  # signed well, and no checkpoint
    changed = parse_note(PETER_NOTE.replace("answer", "Answer"))
    with pytest.raises(BadNote, match="signature of PeterNeumann is wrong"):
        verified(changed, [VerifierKey.parse(PETER)], is_ed25519_signature)


@pytest.mark.parametrize("text", [SUMDB, PETER])
def test_a_key_of_another_implementation_is_read_and_written(text: str) -> None:
    assert str(VerifierKey.parse(text)) == text


def test_the_text_of_a_checkpoint_is_origin_size_and_root() -> None:
    assert CHECKPOINT.text == b"example.com/log\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    assert Checkpoint.parse(CHECKPOINT.text) == CHECKPOINT
    assert Checkpoint.parse(CHECKPOINT.text + b"an extension\n") == CHECKPOINT


def test_what_is_signed_is_verified_by_whoever_holds_the_public_key() -> None:
    text = note(CHECKPOINT, KEY.vkey.name, sign_head(CHECKPOINT, KEY))
    given_out = VerifierKey.parse(str(KEY.vkey))
    assert verified(parse_note(text), [given_out], is_ed25519_signature) == CHECKPOINT
    assert text.split("\n")[3:5] == ["", text.split("\n")[4]]
    assert text.startswith(CHECKPOINT.text.decode())


@given(st.data())
def test_no_changed_byte_of_a_note_is_believed(data: st.DataObject) -> None:
    text = note(CHECKPOINT, KEY.vkey.name, sign_head(CHECKPOINT, KEY))
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[place]))
    changed = text[:place] + other + text[place + 1 :]
    with pytest.raises(BadNote):
        verified(parse_note(changed), [KEY.vkey], is_ed25519_signature)


def test_signatures_of_others_are_left_alone_and_are_not_enough() -> None:
    other = LogKey.create("witness.example")
    signatures = note(CHECKPOINT, other.vkey.name, sign_head(CHECKPOINT, other)).split("\n\n")[1]
    both = note(CHECKPOINT, KEY.vkey.name, sign_head(CHECKPOINT, KEY)) + signatures
    assert verified(parse_note(both), [KEY.vkey], is_ed25519_signature) == CHECKPOINT
    alone = f"{CHECKPOINT.text.decode()}\n{signatures}"
    with pytest.raises(BadNote, match="no key that is known"):
        verified(parse_note(alone), [KEY.vkey], is_ed25519_signature)


def test_a_head_is_signed_by_its_own_key_only() -> None:
    other = LogKey.create("example.com/log")
    signature = sign_head(CHECKPOINT, KEY)
    assert is_signed_by(CHECKPOINT, signature, [other.vkey, KEY.vkey], is_ed25519_signature)
    assert not is_signed_by(CHECKPOINT, signature, [other.vkey], is_ed25519_signature)
    grown = Checkpoint(CHECKPOINT.origin, 6, CHECKPOINT.root)
    assert not is_signed_by(grown, signature, [KEY.vkey], is_ed25519_signature)
    assert not is_signed_by(CHECKPOINT, b"", [KEY.vkey], is_ed25519_signature)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"origin\n5\n",
        b"\n5\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n05\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n-5\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
        "origin\n\u0665\n".encode() + base64.b64encode(EMPTY_ROOT) + b"\n",
        b"origin\n5\n" + base64.b64encode(EMPTY_ROOT[:-1]) + b"\n",
        b"origin\n5\n!!!!\n",
        b"\xff\n5\n" + base64.b64encode(EMPTY_ROOT) + b"\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: bytes) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "text\n", "text\n\n", "text\n\nno signature\n", "text\n\n\u2014 name AAAA\n", "t\n\n\u2014 n !\n"],
)
def test_what_is_no_signed_note_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        parse_note(text)


def test_an_enormous_note_is_not_even_looked_at() -> None:
    with pytest.raises(BadNote, match="64 KiB"):
        parse_note("x" * 70_000)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+033de0ae",
        SUMDB.replace("033de0ae", "033de0af"),
        SUMDB.replace("Ac4z", "As4z"),
        "a name" + SUMDB.removeprefix("sum.golang.org"),
        "name+033de0ae+AAAA",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        VerifierKey.parse(text)
