"""API keys on both databases: with their entries, rotated, revoked, told when they changed, last seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, text, update
from tests.servers.key_fakes import api_key, created, revoked, rotated
from tests.store.erased_names import in_clear
from tests.store.revoking import kinds

from authz_service.audit.draft import EntryDraft
from authz_service.core.api_keys import ApiKey
from authz_service.errors import Conflict, NotFound
from authz_service.store.migrate import migrate
from authz_service.store.schema import api_keys


def key(place: Any, key_id: str, **changes: Any) -> ApiKey:
    return api_key(key_id, **({"expires_at": place.clock.time + 600.0} | changes))


async def make_key(store: Any, wanted: ApiKey) -> ApiKey:
    made: ApiKey = await store.create_key(wanted, created(wanted))
    return made


async def rotate_key(store: Any, wanted: ApiKey, *, until: float) -> ApiKey:
    made: ApiKey = await store.rotate_key(wanted, rotated(wanted, until), until=until)
    return made


async def listed(store: Any) -> dict[str, ApiKey]:
    return {found.id: found for found in await store.api_keys()}


def test_a_key_reads_back_as_it_was_made_and_revoked(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            made = await make_key(store, key(place, "key_1", scope=("model:*", "api:x")))
            assert made.created_at == place.clock.time
            assert await listed(store) == {"key_1": made}
            place.clock.time += 1
            ended = await store.revoke_key("key_1", revoked("key_1"))
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
            await make_key(store, key(place, "key_1", name="nightly"))
            await refused("key_name_taken", make_key(store, key(place, "key_2", name="nightly")))
            await refused("key_not_found", store.revoke_key("key_9", revoked("key_9")))
            await refused("key_not_found", rotate_key(store, key(place, "key_2", replaces="x"), until=now))
            second = key(place, "key_2", name="nightly", replaces="key_1")
            await rotate_key(store, second, until=now + 60)
            third = key(place, "key_3", name="nightly", replaces="key_1")
            await refused("key_rotated", rotate_key(store, third, until=now + 60))
            await store.revoke_key("key_2", revoked("key_2"))
            await refused("key_revoked", store.revoke_key("key_2", revoked("key_2")))
            fourth = replace(third, replaces="key_2")
            await refused("key_ended", rotate_key(store, fourth, until=now + 60))
            place.clock.time += 60
            await refused("key_ended", rotate_key(store, third, until=now + 60))
        assert kinds(place.url) == ["api_key.created", "api_key.rotated", "api_key.revoked"]

    run(scenario())


def test_no_name_of_a_key_is_in_its_row_and_all_come_back(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            wanted = key(sealed, "key_1", name="nightly-q7", owner="olga-q7", groups=("night-q7",))
            made = await make_key(store, wanted)
            await store.revoke_key("key_1", revoked("key_1", "lost by q7"))
            assert await listed(store) == {
                "key_1": replace(made, revoked_at=sealed.clock.time, revoked_by="oscar", reason="lost by q7")
            }
            again = key(sealed, "key_2", name="nightly-q7")
            with pytest.raises(Conflict, match="nightly-q7"):
                await make_key(store, again)

    run(scenario())
    for name in ("q7", "oscar"):
        assert [row for row in in_clear(sealed, name) if not row.startswith("payloads")] == []


def test_a_name_of_before_entries_had_pseudonyms_is_taken_too(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await make_key(store, key(place, "key_1", name="nightly"))
            await store.change(lambda transaction: transaction.change(update(api_keys).values(name="")))
            with pytest.raises(Conflict, match="key_1"):
                await make_key(store, key(place, "key_2", name="nightly"))
            await make_key(store, key(place, "key_2", name="daily"))

    run(scenario())


def test_keys_from_before_an_upgrade_are_what_they_were(place: Any, run: Any) -> None:
    async def scenario() -> dict[str, ApiKey]:
        async with place.store() as store:
            await make_key(store, key(place, "key_1", name="nightly", owner="ann"))
            new = key(place, "key_2", name="nightly", owner="ann", replaces="key_1")
            await rotate_key(store, new, until=place.clock.time + 9)
            await make_key(store, key(place, "key_3"))
            await store.revoke_key("key_3", revoked("key_3"))
            return await listed(store)

    async def after() -> dict[str, ApiKey]:
        async with place.store() as store:
            with pytest.raises(Conflict, match="nightly"):
                await make_key(store, key(place, "key_4", name="nightly"))
            return await listed(store)

    before = run(scenario())
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for change in ("DROP COLUMN made", "DROP COLUMN ended", "ADD COLUMN detail TEXT"):
            connection.execute(text(f"ALTER TABLE api_keys {change}"))
        prefixes = ("sessions_prefix", "holds_prefix")
        for index in ("session_budgets_session", *prefixes, "holds_open", "holds_subject"):
            connection.execute(text(f"DROP INDEX IF EXISTS {index}"))
        connection.execute(text("ALTER TABLE outbox DROP COLUMN grant_id"))
        connection.execute(text("ALTER TABLE sessions DROP COLUMN repeated"))
        connection.execute(text("DROP TABLE kept_results"))
        connection.execute(text("UPDATE api_keys SET name = 'in clear', detail = '{}'"))
        connection.execute(text("UPDATE authz_schema SET version_num = '0014'"))
    engine.dispose()
    migrate(place.url)
    assert run(after()) == before
    assert in_clear(place, "in clear") == []


def test_a_rotation_only_shortens_the_life_of_the_old_key(place: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            now = place.clock.time
            for name, overlap, ends in (("a", 60.5, 60), ("b", 6000, 600)):
                await make_key(store, key(place, f"old_{name}", name=name))
                new = key(place, f"new_{name}", name=name, replaces=f"old_{name}")
                await rotate_key(store, new, until=now + overlap)
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
            await make_key(store, key(place, "key_1"))
            await make_key(store, key(place, "key_2"))
            version, ids = await changed(store, 0)
            assert ids == {"key_1", "key_2"}
            assert await store.changed_keys(version) is None
            await rotate_key(
                store, key(place, "key_3", name="key_1", replaces="key_1"), until=place.clock.time
            )
            version, ids = await changed(store, version)
            assert ids == {"key_1", "key_3"}
            await store.revoke_key("key_2", revoked("key_2"))
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
            await make_key(store, key(place, "key_1"))
            await make_key(store, key(place, "key_2"))
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
