"""API keys on both databases: with their entries, rotated, revoked, told when they changed, last seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.servers.key_fakes import api_key
from tests.store.test_store_revocations import kinds

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.api_keys import ApiKey
from authz_service.errors import Conflict, NotFound

CREATED = EntryDraft(Kind.API_KEY_CREATED)
ROTATED = EntryDraft(Kind.API_KEY_ROTATED)
REVOKED = EntryDraft(Kind.API_KEY_REVOKED)


def key(place: Any, key_id: str, **changes: Any) -> ApiKey:
    return api_key(key_id, **({"expires_at": place.clock.time + 600.0} | changes))


async def listed(store: Any) -> dict[str, ApiKey]:
    return {found.id: found for found in await store.api_keys()}


def test_a_key_reads_back_as_it_was_made_and_revoked(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            made = await store.create_key(key(place, "key_1", scope=("model:*", "api:x")), CREATED)
            assert made.created_at == place.clock.time
            assert await listed(store) == {"key_1": made}
            place.clock.time += 1
            ended = await store.revoke_key("key_1", REVOKED, by="oscar", reason="lost")
            assert ended == replace(made, revoked_at=place.clock.time, revoked_by="oscar", reason="lost")
            assert await listed(store) == {"key_1": ended}
        assert kinds(place.url) == ["api_key.created", "api_key.revoked"]

    run(scenario())


def test_what_cannot_be_done_is_refused_and_not_recorded(place: Any, run: Any) -> None:
    async def refused(code: str, work: Any) -> None:
        with pytest.raises((Conflict, NotFound)) as error:
            await work
        assert error.value.code == code

    async def scenario() -> None:
        async with place.store() as store:
            now = place.clock.time
            await store.create_key(key(place, "key_1", name="nightly"), CREATED)
            await refused("key_name_taken", store.create_key(key(place, "key_2", name="nightly"), CREATED))
            await refused("key_not_found", store.revoke_key("key_9", REVOKED, by="o", reason="r"))
            await refused(
                "key_not_found", store.rotate_key(key(place, "key_2", replaces="x"), ROTATED, until=now)
            )
            second = key(place, "key_2", name="nightly", replaces="key_1")
            await store.rotate_key(second, ROTATED, until=now + 60)
            third = key(place, "key_3", name="nightly", replaces="key_1")
            await refused("key_rotated", store.rotate_key(third, ROTATED, until=now + 60))
            await store.revoke_key("key_2", REVOKED, by="o", reason="r")
            await refused("key_revoked", store.revoke_key("key_2", REVOKED, by="o", reason="r"))
            fourth = replace(third, replaces="key_2")
            await refused("key_ended", store.rotate_key(fourth, ROTATED, until=now + 60))
            place.clock.time += 60
            await refused("key_ended", store.rotate_key(third, ROTATED, until=now + 60))
        assert kinds(place.url) == ["api_key.created", "api_key.rotated", "api_key.revoked"]

    run(scenario())


def test_a_rotation_only_shortens_the_life_of_the_old_key(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            now = place.clock.time
            for name, overlap, ends in (("a", 60.5, 60), ("b", 6000, 600)):
                await store.create_key(key(place, f"old_{name}", name=name), CREATED)
                new = key(place, f"new_{name}", name=name, replaces=f"old_{name}")
                await store.rotate_key(new, ROTATED, until=now + overlap)
                found = await listed(store)
                assert found[f"old_{name}"].expires_at == now + ends
                assert found[f"new_{name}"].expires_at == now + 600

    run(scenario())


def test_only_what_changed_is_read_again(place: Any, run: Any) -> None:
    async def changed(store: Any, after: int) -> tuple[int, set[str]]:
        read = await store.changed_keys(after)
        return read.version, {item.id for item in read.items}

    async def scenario() -> None:
        async with place.store() as store:
            assert await store.changed_keys() is None
            await store.create_key(key(place, "key_1"), CREATED)
            await store.create_key(key(place, "key_2"), CREATED)
            version, ids = await changed(store, 0)
            assert ids == {"key_1", "key_2"}
            assert await store.changed_keys(version) is None
            await store.rotate_key(
                key(place, "key_3", name="key_1", replaces="key_1"), ROTATED, until=place.clock.time
            )
            version, ids = await changed(store, version)
            assert ids == {"key_1", "key_3"}
            await store.revoke_key("key_2", REVOKED, by="o", reason="r")
            version, ids = await changed(store, version)
            assert ids == {"key_2"}
            assert await store.changed_keys(version) is None

    run(scenario())


def test_a_last_use_is_the_begin_of_the_last_session_with_the_key(place: Any, make: Any, run: Any) -> None:
    def received(session: str, key_id: str | None) -> EntryDraft:
        draft: EntryDraft = make.received(session)
        return draft if key_id is None else replace(draft, data={**draft.data, "key": key_id})

    async def scenario() -> None:
        async with place.store() as store:
            begun = place.clock.time
            await store.create_key(key(place, "key_1"), CREATED)
            await store.create_key(key(place, "key_2"), CREATED)
            for session, key_id in (("s1", "key_1"), ("s2", None), ("s3", "key_1"), ("s4", None)):
                place.clock.time += 1
                await store.append(received(session, key_id))
            found = await listed(store)
            assert (found["key_1"].used_at, found["key_2"].used_at) == (begun + 3, None)

    run(scenario())


@pytest.mark.parametrize("owner", ["Rita@Example.com", "rita", "Rita", " rita ", "\uff52ita"])
def test_the_owner_of_a_key_may_not_vote_at_whichever_issuer_they_are_known(
    place: Any, make: Any, run: Any, owner: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            caller = replace(
                make.caller("nightly", claims={"owner": owner, "key": "key_1"}), issuer="urn:authz:keys"
            )
            opened = await store.open_hold(make.hold(caller=caller), make.limits)
            by_address = ("person", "rita@example.com")
            person = by_address if "@" in owner else ("https://another.example", "rita")
            with pytest.raises(Exception, match="cannot decide on it"):
                await store.vote(make.ballot(opened.hold, person=person), make.limits)
            ballot = make.ballot(opened.hold, person=("https://another.example", "rob"))
            await store.vote(ballot, make.limits)

    run(scenario())


def test_a_hold_remembers_the_scope_of_whoever_waits(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for request, scope in (("one", None), ("two", ()), ("three", ("model:llama", "api:x"))):
                caller = replace(make.caller("nightly"), scope=scope)
                opened = await store.open_hold(make.hold(caller=caller, request=request), make.limits)
                found = await store.hold(opened.hold.id)
                assert (found.caller.scope, opened.hold.caller.scope) == (scope, scope)

    run(scenario())
