"""A head is grown on only if this process made it or its signature is good: nobody is signed for unawares."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from authz_service.audit.checkpoint import Checkpoint, is_signed_by
from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.errors import Misconfigured, Unavailable
from authz_service.keys.log_key import LogKey, is_ed25519_signature
from authz_service.store.connecting import open_database
from authz_service.store.heads import Head, Heads
from authz_service.store.migrate import MIGRATIONS

KEY = LogKey.create("example.com/log")


def head(size: int, *, tag: bytes = b"") -> Head:
    frontier = Frontier()
    for number in range(size):
        frontier.append(leaf_hash(tag + str(number).encode()))
    return Head(size, frontier.root(), frontier.to_bytes())


def sql(place: Any, statement: str, **values: Any) -> Any:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = result.all() if result.returns_rows else None
    engine.dispose()
    return rows


def stored_head(place: Any) -> Any:
    (row,) = sql(place, "SELECT size, root, frontier, signature FROM head")
    return row


def test_every_commit_leaves_a_head_that_others_can_verify(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for number in range(4):
                await store.append(*[make.received(f"s{number}"), make.ended(f"s{number}")][: 1 + number % 2])
                size, root, _, signature = stored_head(place)
                checkpoint = Checkpoint("example.com/log", size, bytes(root))
                assert is_signed_by(checkpoint, bytes(signature), [KEY.vkey], is_ed25519_signature)
        leaves = sql(place, "SELECT leaf, body FROM entries ORDER BY seq")
        assert [bytes(leaf) for leaf, _ in leaves] == [leaf_hash(bytes(body)) for _, body in leaves]

    run(scenario())


@pytest.mark.parametrize(
    "change",
    [
        "root = :other",
        "frontier = :other",
        "size = 0, frontier = :none, root = :empty",
        "signature = :none, root = :other",
    ],
)
def test_a_head_that_somebody_changed_under_a_running_service_stops_its_commits(
    place: Any, make: Any, run: Any, change: str
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            await store.append(make.received("s1"))
            before = stored_head(place)
            empty = Frontier().root()
            values = {"other": bytes(32), "none": b"", "empty": empty}
            used = {name: value for name, value in values.items() if f":{name}" in change}
            sql(place, f"UPDATE head SET {change}", **used)
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await store.append(make.ended("s1"))
            assert stored_head(place) != before
            again = {"size": before.size, "root": before.root, "frontier": before.frontier}
            sql(
                place,
                "UPDATE head SET size = :size, root = :root, frontier = :frontier, signature = :signature",
                **again,
                signature=before.signature,
            )
            await store.append(make.ended("s1"))  # as it was left, it is grown on
            assert stored_head(place).size == 2

    run(scenario())


@pytest.mark.postgres
def test_replicas_with_the_same_key_grow_on_each_others_heads(
    postgres_place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        place = postgres_place
        async with place.store(signer=KEY) as one, place.store(signer=KEY, instance="two") as two:
            for number in range(3):
                await one.append(make.received(f"a{number}"))
                await two.append(make.received(f"b{number}"))
        with pytest.raises(Misconfigured, match=r"share its log\.key"):
            await place.open(signer=LogKey.create("example.com/log"))

    run(scenario())


@pytest.fixture
def postgres_place(postgres_url: str, place_of: Any) -> Any:
    return place_of(postgres_url)


@pytest.fixture
def place_of(make: Any) -> Any:
    return make.place


def test_an_earlier_head_is_refused_although_its_signature_is_good() -> None:
    heads = Heads(KEY)
    old, new = head(3), head(5)
    old_signature, new_signature = heads.sign(old), heads.sign(new)
    heads.committed()
    heads.require(new, new_signature)
    with pytest.raises(Misconfigured, match="counts 3 entries, and has counted 5"):
        heads.require(old, old_signature)


def test_a_head_that_was_signed_and_not_committed_is_not_believed_for_that() -> None:
    heads = Heads(KEY)
    heads.require(head(0), None)
    heads.sign(head(4))  # and then the commit failed
    with pytest.raises(Misconfigured, match="is not signed"):
        heads.require(head(4, tag=b"forged "), None)
    heads.require(head(4), heads.sign(head(4)))  # the commit had reached the database after all


def test_a_frontier_that_is_not_the_roots_is_refused_whoever_signed_the_root() -> None:
    heads = Heads(KEY)
    good = head(6)
    forged = Head(6, good.root, head(6, tag=b"x").frontier)
    with pytest.raises(Misconfigured, match="does not fit its own tree"):
        heads.require(forged, heads.sign(good))


def test_entries_from_before_get_their_leaf_hashes_with_the_migration(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s1"), make.decided("s1"), make.ended("s1"))

    run(scenario())
    sql(place, "ALTER TABLE entries DROP COLUMN leaf")
    sql(place, "ALTER TABLE head DROP COLUMN signature")
    sql(place, "UPDATE authz_schema SET version_num = '0002'")
    migrate_from_0002(place)
    rows = sql(place, "SELECT leaf, body FROM entries ORDER BY seq")
    assert [bytes(leaf) for leaf, _ in rows] == [leaf_hash(bytes(body)) for _, body in rows]
    assert len(rows) == 3
    assert stored_head(place).signature is None


def migrate_from_0002(place: Any) -> None:
    """Only as far as this revision: what later ones add is there already."""

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    database = open_database(place.url)
    with database.writing.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.exec_driver_sql("COMMIT")
    database.close()
