"""The file of checkpoints: appended to, never rewritten, closed to others, on disk before it counts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from authz_service.audit.checkpoint import BadNote
from authz_service.audit.kept import KeptCheckpoint, kept, read_line
from authz_service.errors import Misconfigured

LONGEST_LINE = 64 * 1024


def append(path: Path, line: bytes) -> None:
    """Add a line, durably. One that a crash has cut before it is ended first, so that no two become one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError("only a part of the checkpoint could be written")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def newest(path: Path) -> KeptCheckpoint | None:
    """The last whole line; None for a file that has none, or is not there.

    Raises `Misconfigured` when it cannot be read, or its last lines are no checkpoints.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4 * LONGEST_LINE))
            lines = file.read().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
    if size > 4 * LONGEST_LINE:
        lines = lines[1:]
    whole = [line for line in lines if line]
    for line in reversed(whole[-2:]):  # the very last may have been cut by a crash
        try:
            return read_line(line)
        except BadNote:
            continue
    if whole:
        raise Misconfigured(f"the last lines of {path} are no checkpoints; run: authz audit verify")
    return None


def read_all(path: Path) -> Iterator[tuple[str, KeptCheckpoint | None]]:
    """Every checkpoint of a file, with where it stands; None for a line that is none.

    A file may also be a single signed note. Raises `Misconfigured` when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(1) != b"{":
                file.seek(0)
                yield str(path), _note(file.read(LONGEST_LINE))
                return
            file.seek(0)
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path.name} line {number}", _line(line)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error


def _note(content: bytes) -> KeptCheckpoint | None:
    try:
        return kept(content.decode(), [])
    except (BadNote, UnicodeDecodeError):
        return None


def _line(stored: bytes) -> KeptCheckpoint | None:
    try:
        return read_line(stored)
    except BadNote:
        return None
