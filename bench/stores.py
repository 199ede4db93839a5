"""Stores as the service has them: heads are signed, payloads sealed under a key for each subject, and garbage
is looked for as rarely."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from authz_service.commands.garbage import freeze_what_is_loaded
from authz_service.keys.log_key import LogKey
from authz_service.keys.master_key import master_key_from_file
from authz_service.store.keyring import Keyring
from authz_service.store.open import open_store
from authz_service.store.open_keys import open_keyring
from authz_service.store.sql_store import SqlStore
from authz_service.store.writer import WriterLimits

PATIENCE = 300.0  # what takes long is to be measured, not given up


@asynccontextmanager
async def store(
    url: str, folder: Path, *, keys_url: str = "", clock: Callable[[], float] | None = None
) -> AsyncIterator[SqlStore]:
    """A store whose keys are in `folder`; `keys_url` is for replicas, whose keys of subjects are shared."""
    opened = await open_store(
        url,
        instance="bench",
        pseudonym=str,
        clock=clock,
        migrate=True,
        limits=WriterLimits(patience=PATIENCE),
        signer=log_key(folder),
        keyring=keyring(folder, keys_url),
    )
    threshold = gc.get_threshold()
    freeze_what_is_loaded()
    try:
        yield opened
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
        await opened.close()


def keyring(folder: Path, keys_url: str = "") -> Keyring:
    """The keys of subjects; whoever opened them closes them."""
    find_master = partial(master_key_from_file, folder / "master.key")
    url = keys_url or f"sqlite:///{folder / 'keys.db'}"
    return open_keyring(url, lambda may_create: find_master(may_create=may_create))


def log_key(folder: Path) -> LogKey:
    """The key that signs the record."""
    return LogKey.load_or_create(folder / "log.key", "bench.example/record")
