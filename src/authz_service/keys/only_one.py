"""Holds a data directory for one service: a second one would take over what the first has in hand."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir


@contextmanager
def only_one(data: DataDir, command: str) -> Iterator[None]:
    """Hold the data directory for one `authz COMMAND`; raises `Misconfigured` when another has it.

    The kernel lets go of it with the process, however that ends.
    """
    lock = os.open(data.root / f"{command}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise Misconfigured(
                f"another `authz {command}` (process {holder}) runs on {data.root}; "
                "stop it, or name another directory with --data-dir"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(lock)
