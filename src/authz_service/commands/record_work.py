"""What the commands of `authz record` do, on the machine that has the store and its keys."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.forgotten import SESSION
from authz_service.audit.retention import Retention
from authz_service.cel.load import load_config
from authz_service.commands.audit_source import configuration
from authz_service.config.model import Config
from authz_service.core.entries import caller_payload, exported
from authz_service.core.forgetting import Erased, Kept, Order, Person, Purged, PurgeRequest
from authz_service.errors import Conflict, Misconfigured, NotFound
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load
from authz_service.keys.master_key import MasterKey, master_key_from_file
from authz_service.keys.pseudonym import Pseudonyms
from authz_service.runtime.record import open_record
from authz_service.runtime.retention import duration, purge_all, times
from authz_service.store.location import keys_url
from authz_service.store.open_keys import rotate_master_key
from authz_service.store.purging import order_payload
from authz_service.store.record_keys import master_key
from authz_service.store.sql_store import SqlStore
from authz_service.view.caller import Caller

INSTANCE = "record"
LOCAL = "urn:authz:local"
"""The issuer of whom the operating system alone names."""
IN_USE = "store_in_use"


class Place:
    """A configuration and its data directory; raises `Misconfigured` where the service never ran."""

    def __init__(self, config: Path | None, data_dir: Path) -> None:
        self.data = DataDir.open(data_dir)
        self.config: Config = load_config(configuration(config, self.data)).config

    def name_master_key(self, file: Path) -> None:
        """From here on the master key is that of `file`, as the configuration will say later."""
        keeping = self.config.record.keeping
        keys = replace(keeping.keys, master_file=file, master_variable=None)
        record = replace(self.config.record, keeping=replace(keeping, keys=keys))
        self.config = replace(self.config, record=record)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[SqlStore]:
        """The store, open as the service has it; a checkpoint is taken at the end."""
        key = load(self.data.pseudonym_key)
        if key is None or not self.data.log_key.exists():
            raise Misconfigured(f"{self.data.root} has no record of ours; start the service once")
        pseudonym = Pseudonyms(key).of
        try:
            record = await open_record(self.config, self.data, instance=INSTANCE, pseudonym=pseudonym)
        except Misconfigured as error:
            if error.code != IN_USE:
                raise
            said = f"{error}; or ask the service that has it: --server unix:{self.data.review_socket}"
            raise Misconfigured(said, code=IN_USE) from error
        try:
            yield record.store
            await record.checkpoints.take()
        finally:
            await record.store.close()

    def purge(
        self, retention: Retention, *, older_than: float | None, by: Order | None, dry_run: bool
    ) -> Purged:
        """Purge by hand, as old as the policy says or as `older_than` (seconds)."""
        kept = dict(times(self.config.record.keeping.keep))[retention]
        age = kept if older_than is None else older_than

        async def work() -> Purged:
            async with self.store() as store:
                before = round((await store.now() - age) * 1_000_000)
                policy = f"by hand, older than {duration(age)}"
                request = PurgeRequest(retention, before, policy, by)
                forgetting = store.forgetting
                if dry_run:
                    return await forgetting.purge_preview(request)
                return await purge_all(forgetting, request, pause=0.0)

        return asyncio.run(work())

    def person(self, name: str) -> Person:
        """The one person whom a name means; raises `NotFound`, and `Conflict` when it means several."""

        async def work() -> Sequence[Person]:
            async with self.store() as store:
                return await store.forgetting.people(name)

        return only(asyncio.run(work()))

    def erase(self, pseudonym: str, by: Order) -> Erased:
        """Erase one person."""

        async def work() -> Erased:
            async with self.store() as store:
                return await store.forgetting.erase(pseudonym, by)

        return asyncio.run(work())

    def keep(self, *, session: str | None, subject: str | None, by: Order) -> str:
        """Place a legal hold; its id."""

        async def work() -> str:
            async with self.store() as store:
                return (await store.forgetting.keep(session=session, subject=subject, order=by)).id

        return asyncio.run(work())

    def lift(self, keep_id: str, by: Order) -> None:
        """Lift one."""

        async def work() -> None:
            async with self.store() as store:
                await store.forgetting.lift(keep_id, by)

        asyncio.run(work())

    def keeps(self) -> Sequence[Kept]:
        """All in force."""

        async def work() -> Sequence[Kept]:
            async with self.store() as store:
                return await store.forgetting.keeps()

        return asyncio.run(work())

    def record_export(self, first: int, last: int | None) -> int:
        """Record that payloads of these entries leave; how many entries there are then."""
        return asyncio.run(self._record_export(first, last))

    async def _record_export(self, first: int, last: int | None) -> int:
        key = load(self.data.pseudonym_key)
        async with self.store() as store:
            user = Caller(LOCAL, getpass.getuser(), 0.0)
            reader = Pseudonyms(key or b"").of(user.identity)
            count = await store.payloads_of(first, last)
            name = caller_payload(user)
            await store.append(exported(first, last, payloads=count, reader=reader, name=name))
            return (await store.signed_head()).size


def only(found: Sequence[Person]) -> Person:
    """The one who was found; raises `NotFound`, and `Conflict` for several."""
    if not found:
        raise NotFound("nobody of that name is on record; name a subject, a person or a pseudonym")
    if len(found) > 1:
        several = ", ".join(f"{p.pseudonym} ({p.subject} of {p.issuer})" for p in found)
        raise Conflict(f"several people have that name; name one by pseudonym: {several}")
    return found[0]


def order(reason: str) -> Order:
    """By whoever runs the command, as the operating system names them."""
    if not reason.strip():
        raise Misconfigured("give a --reason: it goes on record")
    return Order(getpass.getuser(), reason)


def rotate_key(place: Place, new_file: Path | None, by: Order) -> int:
    """Wrap the keys of all subjects by a new master key; how many there are.

    Without `new_file` the one in the data directory is exchanged; when that is cut off, the next call
    finishes it. With `new_file` the configuration must name it from then on.
    """
    named = place.config.record.keeping.keys
    is_own = named.master_file is None and named.master_variable is None
    if new_file is None and not is_own:
        raise Misconfigured("the configuration names the master key; name the new one with --new-key FILE")
    path = new_file or place.data.master_key.with_name("master.key.next")
    new = master_key_from_file(path, may_create=new_file is None)
    count = _rewrap(place, new)
    if new_file is None:
        os.replace(path, place.data.master_key)
    else:
        place.name_master_key(new_file)
    asyncio.run(_record_rotation(place, count, by))
    return count


def _rewrap(place: Place, new: MasterKey) -> int:
    old = master_key(place.config, place.data)
    url = keys_url(place.config, place.data)
    try:
        return rotate_master_key(url, old, new)
    except Misconfigured:
        # Cut off after the keys were wrapped anew: by the new key they are ours.
        return rotate_master_key(url, new, new)


async def _record_rotation(place: Place, count: int, by: Order) -> None:
    async with place.store() as store:
        entry = EntryDraft(Kind.MASTER_KEY_ROTATED, SESSION, {"keys": count}, order_payload(by))
        await store.append(entry)
