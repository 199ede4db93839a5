"""Secret files: made once, whole or not at all, and read by nobody else."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from authz_service.errors import Misconfigured

LARGEST_FILE = 64 * 1024
KEY_BYTES = 32


def load_or_create(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of `path`; a missing file is first written (0600) with what `make` returns.

    When several processes start at once, all get the content of the one that came first. Raises
    `Misconfigured` for a file that is empty, over 64 KiB, no regular file, not ours, or that other
    users may read, and when it cannot be read or written.
    """
    try:
        content = _read(path)
        if content is None:
            _publish(path, make())
            content = _read(path)
    except OSError as error:
        raise Misconfigured(f"cannot read or write {path}: {error.strerror}") from error
    if content is None:
        raise Misconfigured(f"{path} vanished while it was being made; start again")
    return content


def load_or_create_key(path: Path) -> bytes:
    """The 32 random bytes of `path`; raises `Misconfigured` as `load_or_create`, and for a file of others."""
    content = load_or_create(path, lambda: secrets.token_bytes(KEY_BYTES))
    if len(content) != KEY_BYTES:
        raise Misconfigured(
            f"{path} has {len(content)} bytes, and a key {KEY_BYTES}: restore it from a backup"
        )
    return content


def load(path: Path) -> bytes | None:
    """The content of `path`, None where there is none; raises `Misconfigured` as `load_or_create`."""
    try:
        return _read(path)
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror}") from error


def _read(path: Path) -> bytes | None:
    try:
        # Never through a symbolic link: its target could be under somebody else's control.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        # The open file is judged, not its name: what is checked is what is read.
        _require_private(path, os.fstat(file.fileno()))
        content = file.read(LARGEST_FILE + 1)
    if not content or len(content) > LARGEST_FILE:
        raise Misconfigured(
            f"{path} is empty or too large to be a key; restore it from a backup or remove it"
        )
    return content


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Misconfigured(f"{path} is not a regular file")
    if status.st_uid != os.geteuid():
        raise Misconfigured(f"{path} belongs to another user")
    if status.st_mode & 0o077:
        mode = f"{stat.S_IMODE(status.st_mode):o}"
        raise Misconfigured(f"{path} is open to other users (mode {mode}); run: chmod 600 {path}")


def _publish(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another process was first, and its key counts
            os.link(draft, path)  # unlike a rename, a link never replaces a key that is in use
    finally:
        os.unlink(draft)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
