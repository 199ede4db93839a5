"""Payloads lie sealed under keys of their subjects, which lie in another database."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention, retention_of
from authz_service.core.ports import DAMAGED
from authz_service.core.sessions import DAMAGED_WHY
from authz_service.errors import Misconfigured, Unavailable
from authz_service.keys.master_key import master_key_from_environment, master_key_from_file
from authz_service.store.damage import DamagedKey
from authz_service.store.open_keys import open_keyring, rotate_master_key

SECRET = b"the prompt that nobody else may read"


def rows(place: Any, query: str) -> list[Any]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = connection.execute(text(query)).all()
    engine.dispose()
    return list(found)


def about(subject: str, session: str = "s1", body: bytes = SECRET) -> EntryDraft:
    return EntryDraft(Kind.REQUEST_RELEASED, session, {}, {"body": body}, subject)


def test_no_payload_lies_in_clear_and_all_read_back(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(replace(make.received("s1"), subject="p-alice"), about("p-alice"))
            opened = await store.open_hold(make.hold(forward=SECRET), make.limits)
            assert (await store.hold(opened.hold.id)).forward == SECRET
        async with sealed.store() as store:
            assert (await store.entries("s1"))[1].payloads == {"body": SECRET}
            assert (await store.hold(opened.hold.id)).forward == SECRET

    run(scenario())
    stored = rows(sealed, "SELECT salt, body, key FROM payloads")
    assert stored
    assert all(row.key for row in stored)
    assert not any(SECRET in bytes(row.body) for row in stored)
    keys = b"".join(path.read_bytes() for path in Path(sealed.keys).iterdir() if path.suffix != ".key")
    assert SECRET not in keys


def test_each_subject_has_one_key_and_equal_bytes_of_two_are_two_payloads(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(about("p-alice"), about("p-alice"), about("p-bob"))
            await store.append(about("p-alice"))

    run(scenario())
    keys = [row.key for row in rows(sealed, "SELECT key FROM payloads ORDER BY at, key")]
    assert len(keys) == 3
    assert len(set(keys)) == 2


def test_a_payload_may_be_about_another_than_its_entry(sealed: Any, run: Any) -> None:
    draft = EntryDraft(
        Kind.HOLD_VOTED,
        "s1",
        {},
        {"voter": b"rita", "reason": b"fine"},
        "p-alice",
        {"voter": ("iss", "rita")},
    )

    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(draft)
            assert (await store.entries("s1"))[0].payloads == {"voter": b"rita", "reason": b"fine"}

    run(scenario())
    assert len({row.key for row in rows(sealed, "SELECT key FROM payloads")}) == 2


def test_a_destroyed_key_takes_the_payloads_of_its_subject_and_no_others(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        keyring = sealed.keyring()
        async with sealed.store(keyring=keyring) as store:
            await store.append(about("p-alice"), about("p-bob", "s2"))
            assert keyring.destroy_keys(keyring.held("p-alice")) == 1
            assert (await store.entries("s1"))[0].payloads == {}
            assert (await store.entries("s2"))[0].payloads == {"body": SECRET}
            await store.append(about("p-alice", "s3", b"came back"))
            assert (await store.entries("s3"))[0].payloads == {"body": b"came back"}
            assert (await store.entries("s1"))[0].payloads == {}

    run(scenario())


def test_an_altered_payload_is_said_to_be_damaged(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(about("p-alice"))
            engine = create_engine(sealed.url.replace("postgresql://", "postgresql+psycopg://"))
            with engine.begin() as connection:
                connection.execute(text("UPDATE payloads SET body = salt"))
            engine.dispose()
            (entry,) = await store.entries("s1")
            assert entry.payloads == {}
            assert set(entry.missing.values()) == {DAMAGED_WHY}

    run(scenario())


def test_nothing_is_recorded_while_the_key_store_is_away(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        keyring = sealed.keyring()
        async with sealed.store(keyring=keyring) as store:
            other = sqlite3.connect(sealed.keys / "keys.db", isolation_level=None)
            other.execute("DROP TABLE authz_subject_keys")
            with pytest.raises(Unavailable):
                await store.append(about("p-alice"))
            assert await store.entries("s1") == []
            other.close()

    run(scenario())


def test_another_key_store_or_none_is_refused_at_the_start(sealed: Any, run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(about("p-alice"))
        with pytest.raises(Misconfigured, match="opened without keys"):
            await sealed.open(keyring=None)
        (sealed.keys / "keys.db").unlink()
        with pytest.raises(Misconfigured, match="not that of this record"):
            await sealed.open()

    run(scenario())


def test_a_missing_or_wrong_master_key_is_refused_at_the_start(sealed: Any) -> None:
    sealed.keyring().close()
    master = sealed.keys / "master.key"
    kept = master.read_bytes()
    master.unlink()
    with pytest.raises(Misconfigured, match=r"master\.key is missing"):
        sealed.keyring()
    master_key_from_file(master, may_create=True)
    with pytest.raises(Misconfigured, match="is not the master key of this record"):
        sealed.keyring()
    master.write_bytes(kept)
    sealed.keyring().close()


def test_the_master_key_is_exchanged_without_touching_the_record(sealed: Any, run: Any) -> None:
    new = master_key_from_environment("NEW", {"NEW": "ab" * 32})
    old = master_key_from_file(sealed.keys / "master.key", may_create=True)

    async def write() -> None:
        async with sealed.store() as store:
            await store.append(about("p-alice"), about("p-bob", "s2"))

    async def read() -> None:
        async with sealed.store(keyring=open_keyring(sealed.keys_url, lambda _: new)) as store:
            assert (await store.entries("s1"))[0].payloads == {"body": SECRET}

    run(write())
    before = rows(sealed, "SELECT * FROM payloads ORDER BY digest")
    assert rotate_master_key(sealed.keys_url, old, new) == 2
    assert rows(sealed, "SELECT * FROM payloads ORDER BY digest") == before
    with pytest.raises(Misconfigured, match="not the master key"):
        sealed.keyring()
    run(read())
    with pytest.raises(Misconfigured, match="not the master key"):
        rotate_master_key(sealed.keys_url, old, new)


@pytest.mark.parametrize("damage", ["x'00'", "'a text'", "5"])
def test_beside_a_damaged_key_none_is_wrapped_anew_and_it_is_named(
    sealed: Any, run: Any, damage: str
) -> None:
    new = master_key_from_environment("NEW", {"NEW": "ab" * 32})
    old = master_key_from_file(sealed.keys / "master.key", may_create=True)

    async def write() -> None:
        async with sealed.store() as store:
            await store.append(about("p-alice"), about("p-bob", "s2"))

    def stored(statement: str) -> list[Any]:
        with closing(sqlite3.connect(sealed.keys / "keys.db")) as keys, keys:
            return keys.execute(statement).fetchall()

    run(write())
    stored(f"UPDATE authz_subject_keys SET wrapped = {damage} WHERE subject = 'p-bob'")
    ((bobs,),) = stored("SELECT id FROM authz_subject_keys WHERE subject = 'p-bob'")
    before = stored("SELECT * FROM authz_subject_keys ORDER BY id")
    with pytest.raises(DamagedKey, match=f"key {bobs} .*authz record erase") as refused:
        rotate_master_key(sealed.keys_url, old, new)
    assert refused.value.code == DAMAGED
    assert stored("SELECT * FROM authz_subject_keys ORDER BY id") == before
    sealed.keyring().close()


@pytest.mark.postgres
def test_keys_may_lie_in_a_postgresql_shared_by_replicas(postgres_url: str, tmp_path: Path) -> None:
    def find(may_create: bool) -> Any:
        return master_key_from_file(tmp_path / "master.key", may_create=may_create)

    one, two = open_keyring(postgres_url, find), open_keyring(postgres_url, find)
    assert one.name == two.name
    assert one.current("p-alice") == two.current("p-alice")
    new = master_key_from_environment("NEW", {"NEW": "ab" * 32})
    assert rotate_master_key(postgres_url, find(False), new) == 1
    with pytest.raises(Unavailable, match="exchanged"):
        one.current("p-carol")
    one.close()
    two.close()


def test_a_key_is_asked_for_again_after_half_a_minute(sealed: Any) -> None:
    ticks = [0.0]
    keyring = sealed.keyring()
    keyring._clock = lambda: ticks[0]
    key = keyring.current("p-alice")
    with sqlite3.connect(sealed.keys / "keys.db") as other:
        other.execute("UPDATE authz_subject_keys SET wrapped = NULL, destroyed_at = 1")
    other.close()
    assert keyring.current("p-alice") == key
    assert keyring.key(key.id) == key.key
    ticks[0] = 31.0
    assert keyring.key(key.id) is None
    assert keyring.current("p-alice").id != key.id
    keyring.close()


def test_what_the_service_says_of_itself_is_kept_as_long_as_the_entries() -> None:
    assert retention_of(Kind.POLICY_ACTIVATED, "file") is Retention.ENTRIES
    assert retention_of(Kind.REQUEST_RELEASED, "body") is Retention.PAYLOADS
    assert retention_of(Kind.REQUEST_RELEASED, "original") is Retention.ORIGINALS
