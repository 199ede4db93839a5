"""An API key of which nobody can tell whose it is counts no more, can be revoked, and costs no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.servers.key_fakes import api_key, created, revoked, rotated
from tests.store.damaged_rows import put

from authz_service.audit.entry import decode
from authz_service.core.api_keys import ApiKey
from authz_service.core.sessions import Entry
from authz_service.runtime.following import Following

ENTRY = "UPDATE entries SET body = {} WHERE seq = (SELECT made FROM api_keys WHERE id = 'key_1')"
DAMAGES = {
    "cut entry": ENTRY.format("'{'"),
    "altered entry": ENTRY.format("CAST(replace(CAST(body AS TEXT), 'model:llama', 'model:*') AS BLOB)"),
    "payload": "UPDATE payloads SET body = salt WHERE digest = :digest",
    "another's entry": "UPDATE api_keys SET made = (SELECT max(made) FROM api_keys) WHERE id = 'key_1'",
    "no entry": "UPDATE api_keys SET made = 9999 WHERE id = 'key_1'",
    "time": "UPDATE api_keys SET expires_at = 'x' WHERE id = 'key_1'",
    "number": "UPDATE api_keys SET seq = 'x' WHERE id = 'key_1'",
    "hash": "UPDATE api_keys SET hash = 'x' WHERE id = 'key_1'",
    "a number for a hash": "UPDATE api_keys SET hash = 1000000000000000 WHERE id = 'key_1'",
    "another hash": "UPDATE api_keys SET hash = x'00' WHERE id = 'key_1'",
    "beginning": "UPDATE api_keys SET created_at = created_at - 1 WHERE id = 'key_1'",
    "later end": "UPDATE api_keys SET expires_at = expires_at + 1 WHERE id = 'key_1'",
    "an end that nobody made": "UPDATE api_keys SET ended = made WHERE id = 'key_1'",
}


def digest_of(entry: Entry, payload: str) -> bytes:
    return decode(entry.body).payloads[payload].digest


async def make_two(place: Any, store: Any) -> None:
    for number in (1, 2):
        key = api_key(f"key_{number}", expires_at=place.clock.time + 600.0)
        await store.create_key(key, created(key))


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_it_is_named_and_revoked_and_the_others_are_what_they_were(
    sealed: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await make_two(sealed, store)
            before = {key.id: key for key in await store.api_keys()}
            (made, *_) = await store.entries_after(0, "")
            digest = digest_of(made, "key")
            put(sealed, DAMAGES[damage], **({"digest": digest} if damage == "payload" else {}))
        async with sealed.store() as store:
            with capture_logs() as logs:
                read = {key.id: key for key in (await store.changed_keys(0)).items}
            assert read["key_2"] == before["key_2"]
            assert read["key_1"].is_damaged
            assert [(line["event"], line["key"]) for line in logs] == [("api_key.damaged", "key_1")]
            assert (read["key_1"].owner, read["key_1"].scope) == ("", ())
            ended = await store.revoke_key("key_1", revoked("key_1"))
            assert ended.revoked_at == sealed.clock.time
            assert {key.id: key.revoked_at for key in await store.api_keys()} == {
                "key_1": sealed.clock.time,
                "key_2": None,
            }

    run(scenario())


REVIVALS = {
    "no time": "UPDATE api_keys SET revoked_at = NULL WHERE id = 'key_1'",
    "no end": "UPDATE api_keys SET revoked_at = NULL, ended = NULL WHERE id = 'key_1'",
    "no end of the one replaced": "UPDATE api_keys SET expires_at = expires_at + 1 WHERE id = 'key_2'",
}


@pytest.mark.parametrize("damage", sorted(REVIVALS))
def test_none_counts_again_that_was_revoked_or_replaced(place: Any, run: Any, damage: str) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await make_two(place, store)
            await store.revoke_key("key_1", revoked("key_1"))
            until = place.clock.time + 60
            new = api_key("key_3", name="key_2", replaces="key_2", expires_at=place.clock.time + 600.0)
            await store.rotate_key(new, rotated(new, until), until=until)
            assert not any(key.is_damaged for key in await store.api_keys())
            put(place, REVIVALS[damage])
            of = REVIVALS[damage][-6:-1]
            assert [key.id for key in await store.api_keys() if key.is_damaged] == [of]

    run(scenario())


def test_one_that_was_replaced_and_revoked_then_reads_as_before(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await make_two(place, store)
            until = place.clock.time + 60
            new = api_key("key_3", name="key_1", replaces="key_1", expires_at=place.clock.time + 600.0)
            await store.rotate_key(new, rotated(new, until), until=until)
            await store.revoke_key("key_1", revoked("key_1"))
            found = {key.id: key for key in await store.api_keys()}
            assert (found["key_1"].is_damaged, found["key_1"].expires_at) == (False, until)

    run(scenario())


def test_who_made_it_is_no_part_of_what_it_may_ask_for(sealed: Any, run: Any) -> None:
    """What operators' keys sealed is damaged for all the API keys that they made."""

    async def scenario() -> None:
        async with sealed.store() as store:
            await make_two(sealed, store)
            before = await store.api_keys()
            for entry in await store.entries_after(0, ""):
                put(
                    sealed,
                    "UPDATE payloads SET body = salt WHERE digest = :digest",
                    digest=digest_of(entry, "operator"),
                )
            assert await store.api_keys() == tuple(replace(key, by="") for key in before)

    run(scenario())


@pytest.mark.parametrize("body", [b"{", b"[]"])
def test_others_that_are_revoked_later_count_no_longer(place: Any, run: Any, body: bytes) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await make_two(place, store)
            taken: dict[str, ApiKey] = {}
            following = Following(
                store.changed_keys, lambda keys: taken.update({key.id: key for key in keys}), version=0
            )
            await following.refresh()
            put(place, "UPDATE entries SET body = :body WHERE seq = 1", body=body)
            new = api_key("key_3", name="key_1", replaces="key_1", expires_at=place.clock.time + 600.0)
            await store.rotate_key(new, rotated(new, place.clock.time + 60), until=place.clock.time + 60)
            await store.revoke_key("key_2", revoked("key_2"))
            await following.refresh()
            assert taken["key_2"].revoked_at is not None
            assert (taken["key_1"].is_damaged, taken["key_3"].is_damaged) == (True, False)

    run(scenario())


@pytest.mark.parametrize("number", [10**9, -1])
def test_a_number_of_no_entry_hides_nothing_that_comes_after(place: Any, run: Any, number: int) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await make_two(place, store)
            put(place, "UPDATE api_keys SET seq = :number WHERE id = 'key_1'", number=number)
            read = await store.changed_keys(0)
            await store.revoke_key("key_2", revoked("key_2"))
            later = await store.changed_keys(read.version)
            assert later is not None
            assert {key.id: key.revoked_at for key in later.items}["key_2"] is not None

    run(scenario())
