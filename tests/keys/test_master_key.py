"""The master key comes from a private file or the environment, and opens only what it wrapped."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.errors import Misconfigured
from authz_service.keys.master_key import WrongKey, master_key_from_environment, master_key_from_file


def test_a_first_start_makes_the_file_and_later_ones_read_it(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    first = master_key_from_file(path, may_create=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = master_key_from_file(path)
    assert again.unwrap(first.wrap(b"secret", purpose="one"), purpose="one") == b"secret"


def test_a_missing_file_is_not_made_anew_and_the_error_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="restore it from a backup"):
        master_key_from_file(tmp_path / "master.key")
    assert not (tmp_path / "master.key").exists()


def test_a_file_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    master_key_from_file(path, may_create=True)
    path.chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        master_key_from_file(path)


@pytest.mark.parametrize("content", [b"\n", b"abc", b"0" * 63, b"0" * 65, b"g" * 64])
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match="64 hexadecimal digits") as caught:
        master_key_from_file(path)
    assert content.decode().strip() == "" or content.decode() not in str(caught.value)


def test_the_environment_has_the_same_digits() -> None:
    key = master_key_from_environment("KEY", {"KEY": "0f" * 32})
    assert "0f" not in repr(key)
    with pytest.raises(Misconfigured, match="set OTHER"):
        master_key_from_environment("OTHER", {})


def test_another_key_another_purpose_or_an_altered_byte_opens_nothing() -> None:
    key = master_key_from_environment("KEY", {"KEY": "0f" * 32})
    other = master_key_from_environment("KEY", {"KEY": "0e" * 32})
    wrapped = key.wrap(b"secret", purpose="one")
    attempts: list[Callable[[], bytes]] = [
        lambda: other.unwrap(wrapped, purpose="one"),
        lambda: key.unwrap(wrapped, purpose="two"),
        lambda: key.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), purpose="one"),
        lambda: key.unwrap(b"", purpose="one"),
    ]
    for attempt in attempts:
        with pytest.raises(WrongKey):
            attempt()
