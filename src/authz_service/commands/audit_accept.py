"""Accepting a record that is not the one that was signed before, with the reason, on record."""

from __future__ import annotations

import asyncio
import getpass
from dataclasses import dataclass
from functools import partial

from authz_service.audit.checkpoint import SESSION
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.given_up import LISTED, listing
from authz_service.audit.kept import KeptCheckpoint
from authz_service.config.model import Config
from authz_service.errors import Conflict, Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.keys.log_key import LogKey
from authz_service.runtime.checkpoints import Checkpoints
from authz_service.runtime.record import checkpoints_of, log_key
from authz_service.store.checkpoint_file import newest, read_all
from authz_service.store.location import store_url
from authz_service.store.open import open_store
from authz_service.store.record_keys import open_record_keys
from authz_service.store.signed_head import SignedHead
from authz_service.store.sql_store import SqlStore


@dataclass(frozen=True, slots=True)
class Accepted:
    """How many entries the record was found with, and how many the last checkpoint counts."""

    found: int
    kept: int


def accept(config: Config, data: DataDir, *, reason: str) -> Accepted:
    """Sign the record as it is, beginning with an entry that says who accepts it, why, and what was lost.

    The checkpoints that were kept stay where they are, and verification says which of them were given up.
    Raises `Conflict` when there is nothing to accept, and `Misconfigured` when the tree itself is damaged.
    """
    return asyncio.run(_accept(config, data, reason))


async def _accept(config: Config, data: DataDir, reason: str) -> Accepted:
    last = newest(data.checkpoints)
    key = log_key(config, data)
    if last is not None and last.checkpoint.origin != key.vkey.name:
        raise Misconfigured(
            f"{data.checkpoints} has the checkpoints of another log, {last.checkpoint.origin};"
            " keep them as evidence in another place"
        )
    store, was_signed = await _open(config, data, key)
    try:
        checkpoints = checkpoints_of(config, data, store, key)
        if was_signed and await _agrees(checkpoints):
            raise Conflict("the record is the one that was signed; there is nothing to accept")
        found = await store.signed_head()
        given_up = _given_up(data, found, last)
        await store.append(_accepted(found, last, given_up, was_signed=was_signed, reason=reason))
        await checkpoints.take()
        if not checkpoints.size:
            raise Misconfigured(f"the record is accepted, and {data.checkpoints} could not be written")
        return Accepted(found.size, 0 if last is None else last.checkpoint.size)
    finally:
        await store.close()


async def _open(config: Config, data: DataDir, key: LogKey) -> tuple[SqlStore, bool]:
    """The store, and whether its head was signed by the key."""
    opened = partial(open_store, store_url(config, data), instance="audit", pseudonym=str, signer=key)
    try:
        return await opened(keyring=open_record_keys(config, data)), True
    except Misconfigured as error:
        if error.code != "record_damaged":
            raise
        return await opened(keyring=open_record_keys(config, data), accepts_head=True), False


async def _agrees(checkpoints: Checkpoints) -> bool:
    try:
        await checkpoints.compare()
    except Misconfigured:
        return False
    return True


def _after(found: SignedHead, last: KeptCheckpoint | None) -> int:
    return found.size if last is not None and found.size < last.checkpoint.size else 0


def _given_up(data: DataDir, found: SignedHead, last: KeptCheckpoint | None) -> bytes:
    """The checkpoints that were kept and are of another log from here on; those that agree do no harm."""
    known = [kept.checkpoint for _, kept in read_all(data.checkpoints) if kept is not None] if last else []
    return listing(checkpoint for checkpoint in known if checkpoint.size > _after(found, last))


def _accepted(
    found: SignedHead, last: KeptCheckpoint | None, given_up: bytes, *, was_signed: bool, reason: str
) -> EntryDraft:
    """Which checkpoints are given up: those of `given_up` above `after`, up to `kept_size`."""
    kept_size = 0 if last is None else last.checkpoint.size
    return EntryDraft(
        Kind.RECORD_ACCEPTED,
        SESSION,
        data={
            "found_size": found.size,
            "found_root": found.root.hex(),
            "was_signed": was_signed,
            "after": _after(found, last),
            "kept_size": kept_size,
            "kept_root": None if last is None else last.checkpoint.root.hex(),
        },
        payloads={
            "reason": reason.encode(errors="replace"),
            "person": getpass.getuser().encode(),
            LISTED: given_up,
        },
    )
