"""Opens the record as a service writes it: signed, compared with what was signed before, with checkpoints."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from authz_service.audit.checkpoint import SESSION
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.config.model import Config
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.keys.log_key import LogKey
from authz_service.runtime.checkpoint_delivery import Deliveries
from authz_service.runtime.checkpoint_receivers import receiver_of
from authz_service.runtime.checkpoints import Checkpoints
from authz_service.store.location import store_url
from authz_service.store.open import open_store
from authz_service.store.record_keys import open_record_keys
from authz_service.store.recovery import Heritage
from authz_service.store.sql_store import SqlStore

log = structlog.get_logger(__name__)

Pseudonym = Callable[[tuple[str, str]], str]


@dataclass(frozen=True, slots=True)
class Record:
    """The open store, its checkpoints, and the entries that opening it has made necessary."""

    store: SqlStore
    checkpoints: Checkpoints
    first: tuple[EntryDraft, ...]
    unused: Path

    def begun(self) -> None:
        """What had to be recorded first is: the log's key is in use from now on."""
        self.unused.unlink(missing_ok=True)


async def open_record(
    config: Config,
    data: DataDir,
    *,
    instance: str,
    pseudonym: Pseudonym,
    heritage: Heritage | None = None,
) -> Record:
    """Open the configured store; `await record.store.close()` when done.

    Raises `Misconfigured` when its head is not signed by this machine's key, or it does not contain what
    the last checkpoint in the data directory was signed for, or the keys of its payloads are missing or
    others; and `Unavailable`. Erasures that a crash interrupted are completed first.
    """
    unused = data.log_key.with_name("log.key.unused")
    if not data.log_key.exists():
        # There before the key is, until the record says that there is one: a start may be cut off between.
        load_or_create(unused, lambda: b"the record does not name log.key yet\n")
    is_new = unused.exists()
    key = log_key(config, data)
    store = await _opened(config, data, key, instance, pseudonym, heritage, is_first_signer=is_new)
    try:
        checkpoints = checkpoints_of(config, data, store, key)
        await checkpoints.compare()
        is_named = is_new and await _names(store, key)
        resumed = await store.forgetting.resume_erasures()
        if resumed:
            log.warning("record.erasures_completed", number=resumed)
    except BaseException:
        await store.close()
        raise
    created = EntryDraft(Kind.LOG_KEY_CREATED, SESSION, data={"key": str(key.vkey)})
    return Record(store, checkpoints, (created,) if is_new and not is_named else (), unused)


async def _names(store: SqlStore, key: LogKey) -> bool:
    """Whether the record says already that this key signs it."""
    entries = await store.entries(SESSION)
    return any(e.kind == Kind.LOG_KEY_CREATED and e.data["key"] == str(key.vkey) for e in entries)


async def open_kept_record(
    config: Config, data: DataDir, *, instance: str, pseudonym: Pseudonym, heritage: Heritage | None = None
) -> SqlStore:
    """The store of a record that another process of this data directory keeps, and has opened before.

    Nothing is compared with checkpoints here, and none are taken. Raises as `open_record`.
    """
    return await _opened(
        config, data, log_key(config, data), instance, pseudonym, heritage, is_first_signer=False
    )


async def _opened(
    config: Config,
    data: DataDir,
    key: LogKey,
    instance: str,
    pseudonym: Pseudonym,
    heritage: Heritage | None,
    *,
    is_first_signer: bool,
) -> SqlStore:
    keyring = await asyncio.to_thread(open_record_keys, config, data)
    return await open_store(
        store_url(config, data),
        instance=instance,
        pseudonym=pseudonym,
        signer=key,
        is_first_signer=is_first_signer,
        keyring=keyring,
        heritage=heritage,
    )


def log_key(config: Config, data: DataDir) -> LogKey:
    """The key that signs the record, made at the first start; raises `Misconfigured` for another log's."""
    origin = config.record.origin
    key = LogKey.load_or_create(data.log_key, origin or f"authz.local/{secrets.token_hex(8)}")
    if origin is not None and key.vkey.name != origin:
        raise Misconfigured(
            f"record.origin is {origin}, and the log's key is that of {key.vkey.name};"
            " a record keeps its name: leave origin out, or start with a data directory of its own"
        )
    return key


def checkpoints_of(config: Config, data: DataDir, store: SqlStore, key: LogKey) -> Checkpoints:
    """The checkpoints of the record, and where the configuration sends them."""
    settings = config.record.checkpoints

    async def record(entry: EntryDraft) -> None:
        await store.append(entry)

    receivers = [receiver_of(receiver) for receiver in settings.to]
    deliveries = Deliveries(receivers, data.checkpoint_receivers, record=record)
    return Checkpoints(
        store, key=key.vkey, path=data.checkpoints, deliveries=deliveries, every=settings.every
    )
