"""An export of a record with all in it that a verifier judges by: made once, then to be changed."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.store.drafts import Make
from tests.store.erased_names import ZELDA, asked
from tests.store.filled_record import KEY, fill
from tests.store.forgetting import ORDER, exchange, purge_all, request
from tests.store.places import Place

from authz_service.audit.checkpoint import SESSION, Checkpoint, note, sign_head
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.given_up import listing
from authz_service.audit.retention import Retention
from authz_service.commands.audit_export import Wanted, export
from authz_service.commands.audit_rotate import _rotated
from authz_service.keys.log_key import LogKey
from authz_service.store import erasures
from authz_service.store.record_reader import reading

DAY = 86_400.0
NEW = LogKey.create("example.com/log")
GIVEN_UP = Checkpoint("example.com/log", 7, b"another history".ljust(32))
"""Of a record that was restored from a backup."""


def whole_export(folder: Path, template: Path) -> Path:
    """Purges of both kinds, an erasure, holds, votes, edits, grants, keys, two signers, a backup accepted."""
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    place = Place(f"sqlite:///{shutil.copy(template, folder / 'authz.db')}", keys=keys)
    kept: list[str] = [_line(GIVEN_UP, KEY)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasures, "SETTLE_SECONDS", 0.0)
        asyncio.run(_fill(place, Make(), kept))
    keyring = place.keyring()
    with reading(place.url, keyring) as reader:
        (folder / "kept").write_text("".join(kept))
        size = (folder / "kept").stat().st_size
        wanted = Wanted(
            [str(NEW.vkey)], 1, reader.largest(), checkpoints=folder / "kept", checkpoints_bytes=size
        )
        export(reader, folder / "out", wanted, lambda done, size: None)
    keyring.close()
    return folder / "out"


async def _fill(place: Place, make: Any, kept: list[str]) -> None:
    place.clock.time -= 100 * DAY
    async with place.store(signer=KEY, is_first_signer=True) as store:
        await store.append(*exchange(make, "emptied"))
        place.clock.time += 60 * DAY
        await store.append(*exchange(make, "without payloads"))
        await asked(place, make, store, "erased", ZELDA)
        place.clock.time += 40 * DAY
        await purge_all(store, request(place, 90, Retention.ENTRIES))
        await purge_all(store, request(place, 30, Retention.PAYLOADS))
        await asked(place, make, store, "erased later", ZELDA)
        await store.forgetting.erase(place.pseudonym(ZELDA.identity), ORDER)
        masked = {"body": b"[NAME]", "original": b"Alice"}
        await store.append(EntryDraft(Kind.REQUEST_RELEASED, "masked", {}, masked))
        kept.append(_line(_head(place), KEY))
    await fill(place, make)
    async with place.store(signer=NEW, accepts_head=True) as store:
        accepted = {"found_size": 5, "was_signed": True, "after": 5, "kept_size": 9}
        given_up = {"given_up": listing([GIVEN_UP])}
        await store.append(_rotated(KEY, NEW, "as every year"))
        await store.append(EntryDraft(Kind.RECORD_ACCEPTED, SESSION, accepted, given_up))
        kept.append(_line(_head(place), NEW))
        for number in range(60):
            await store.append(make.received(f"n{number}"), make.released(f"n{number}", b"%d" % number))


def _head(place: Place) -> Checkpoint:
    with reading(place.url) as reader:
        head = reader.head()
        return Checkpoint("example.com/log", head.size, bytes(head.root))


def _line(checkpoint: Checkpoint, key: LogKey) -> str:
    signed = note(checkpoint, key.vkey.name, sign_head(checkpoint, key))
    return json.dumps({"checkpoint": signed, "proof": []}) + "\n"
