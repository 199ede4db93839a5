"""Key files are made once, whole or not at all, and refused when others may read them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from authz_service.errors import Misconfigured
from authz_service.keys.files import LARGEST_FILE, load_or_create


def test_a_missing_file_is_made_and_then_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    assert load_or_create(path, lambda: b"first") == b"first"
    assert load_or_create(path, lambda: b"second") == b"first"


def test_a_new_file_is_closed_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_or_create(tmp_path / "seal.key", lambda: b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "seal.key").stat().st_mode & 0o777 == 0o600


def test_no_draft_stays_behind(tmp_path: Path) -> None:
    load_or_create(tmp_path / "seal.key", lambda: b"secret")
    assert [entry.name for entry in tmp_path.iterdir()] == ["seal.key"]


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise RuntimeError("no randomness")

    with pytest.raises(RuntimeError):
        load_or_create(tmp_path / "seal.key", fail)
    assert list(tmp_path.iterdir()) == []


def test_all_that_start_at_once_get_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda n: load_or_create(path, lambda: b"key %d" % n), range(32)))
    assert set(keys) == {path.read_bytes()}


def test_the_key_that_another_process_wrote_meanwhile_counts(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"

    def make_late() -> bytes:
        load_or_create(path, lambda: b"theirs")
        return b"ours"

    assert load_or_create(path, make_late) == b"theirs"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601, 0o644])
def test_a_file_that_others_may_open_is_refused_with_the_command_that_closes_it(
    tmp_path: Path, mode: int
) -> None:
    path = tmp_path / "seal.key"
    path.write_bytes(b"secret")
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="chmod 600"):
        load_or_create(path, lambda: b"new")
    assert path.read_bytes() == b"secret"


def _symbolic_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_bytes(b"secret")
    target.chmod(0o600)
    path.symlink_to(target)


def _dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def _pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _file(content: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(content)
        path.chmod(0o600)

    return make


@pytest.mark.parametrize(
    "make", [_symbolic_link, _dangling_link, _folder, _pipe, _file(b""), _file(b"x" * (LARGEST_FILE + 1))]
)
def test_what_is_no_proper_key_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "seal.key"
    make(path)
    with pytest.raises(Misconfigured, match=r"seal\.key"):
        load_or_create(path, lambda: b"new")


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="nowhere"):
        load_or_create(tmp_path / "nowhere" / "seal.key", lambda: b"new")
