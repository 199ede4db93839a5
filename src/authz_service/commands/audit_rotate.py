"""A new key for the record: the old one signs for it in an entry, over which the new one signs the head."""

from __future__ import annotations

import asyncio
import base64
import getpass
import os
from pathlib import Path

from authz_service.audit.checkpoint import SESSION, VerifierKey
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.keys.log_key import LogKey
from authz_service.runtime.record import checkpoints_of, log_key
from authz_service.store.location import store_url
from authz_service.store.open import open_store
from authz_service.store.record_keys import open_record_keys
from authz_service.store.sql_store import SqlStore


def rotate(config: Config, data: DataDir, *, reason: str) -> VerifierKey:
    """Sign the record with a new key from here on; the new public key.

    The service must be stopped. When this is cut off between the entry and the exchange of the files, the
    next call finishes it. Raises `Misconfigured` when the record is not signed by the key that is here.
    """
    return asyncio.run(_rotate(config, data, reason))


async def _rotate(config: Config, data: DataDir, reason: str) -> VerifierKey:
    if not data.log_key.is_file():
        raise Misconfigured(f"there is no log key at {data.log_key}; start the service once")
    old = log_key(config, data)
    path = data.log_key.with_name("log.key.next")
    new = LogKey.load_or_create(path, old.vkey.name)
    if not await _is_signed_by(config, data, new):
        await _record(config, data, old, new, reason)
    _replace(path, data.log_key)
    store = await _open(config, data, new)
    try:
        checkpoints = checkpoints_of(config, data, store, new)
        await checkpoints.compare()
        await checkpoints.take()
    finally:
        await store.close()
    return new.vkey


async def _record(config: Config, data: DataDir, old: LogKey, new: LogKey, reason: str) -> None:
    store = await _open(config, data, old)
    try:
        await checkpoints_of(config, data, store, old).compare()
        before = await store.signed_head()
    finally:
        await store.close()
    store = await _open(config, data, new, accepts_head=True)
    try:
        if (await store.signed_head()).root != before.root:
            raise Misconfigured("something else writes to this record; stop it first")
        await store.append(_rotated(old, new, reason))
    finally:
        await store.close()


def _rotated(old: LogKey, new: LogKey, reason: str) -> EntryDraft:
    return EntryDraft(
        Kind.LOG_KEY_ROTATED,
        SESSION,
        data={
            "previous": str(old.vkey),
            "key": str(new.vkey),
            "signature": base64.b64encode(old.sign(statement(old.vkey, new.vkey))).decode(),
        },
        payloads={"reason": reason.encode(errors="replace"), "person": getpass.getuser().encode()},
    )


def statement(old: VerifierKey, new: VerifierKey) -> bytes:
    """What an old key signs for a new one."""
    return f"authz log key\n{old}\n{new}\n".encode()


async def _is_signed_by(config: Config, data: DataDir, key: LogKey) -> bool:
    try:
        store = await _open(config, data, key)
    except Misconfigured as error:
        if error.code != "record_damaged":
            raise
        return False
    try:
        return (await store.signed_head()).size > 0
    finally:
        await store.close()


async def _open(config: Config, data: DataDir, key: LogKey, *, accepts_head: bool = False) -> SqlStore:
    return await open_store(
        store_url(config, data),
        instance="audit",
        pseudonym=str,
        signer=key,
        accepts_head=accepts_head,
        keyring=open_record_keys(config, data),
    )


def _replace(new: Path, old: Path) -> None:
    new.replace(old)
    folder = os.open(old.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
