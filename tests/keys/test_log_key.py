"""The log's key is made once, closed to others, read back as it was, and shows itself nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_service.audit.checkpoint import BadNote
from authz_service.errors import Misconfigured
from authz_service.keys.log_key import LogKey, is_ed25519_signature

# Made by Go's sumdb/note for its own tests.
GO_SKEY = b"PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    first = LogKey.load_or_create(path, "example.com/log")
    assert path.stat().st_mode & 0o777 == 0o600
    again = LogKey.load_or_create(path, "another.example")
    assert (again.vkey, again.sign(b"x")) == (first.vkey, first.sign(b"x"))
    assert first.vkey.name == "example.com/log"


def test_a_key_of_another_implementation_is_read_and_written() -> None:
    key = LogKey.from_bytes(GO_SKEY)
    assert str(key.vkey) == GO_VKEY
    assert key.to_bytes() == GO_SKEY


def test_a_signature_is_that_of_its_key_and_message_only() -> None:
    key, other = LogKey.create("a"), LogKey.create("a")
    signature = key.sign(b"message")
    assert is_ed25519_signature(key.vkey.public, signature, b"message")
    assert not is_ed25519_signature(other.vkey.public, signature, b"message")
    assert not is_ed25519_signature(key.vkey.public, signature, b"Message")
    assert not is_ed25519_signature(key.vkey.public, signature[:-1], b"message")
    assert not is_ed25519_signature(b"short", signature, b"message")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\n",
        b"PRIVATE+KEY+name\n",
        GO_SKEY.replace(b"c74f20a3", b"c74f20a4"),
        GO_SKEY.replace(b"AYEK", b"AYEL"),
        b"PRIVATE+KEY+n+00000000+AAAA\n",
        b"PRIVATE+KEY+n+00000000+!!!!\n",
    ],
)
def test_a_damaged_key_is_refused_without_being_repeated(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BadNote):
        LogKey.from_bytes(content)
    path = tmp_path / "log.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="no signing key") as error:
        LogKey.load_or_create(path, "name")
    assert content.decode(errors="replace").strip().split("+")[-1] not in str(error.value)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.key"
    LogKey.load_or_create(path, "name")
    path.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        LogKey.load_or_create(path, "name")


def test_the_private_half_shows_in_no_text() -> None:
    key = LogKey.from_bytes(GO_SKEY)
    secret = GO_SKEY.decode().strip().split("+")[-1]
    assert secret not in repr(key)
    assert secret not in str(key)
