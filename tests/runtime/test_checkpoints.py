"""A checkpoint adds to the one before; receivers get the newest at their own pace, and hold up nobody."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.runtime.checkpoints_place import ENTRY, KEY, Memory, Place, filled, until, within

from authz_service.audit.checkpoint import parse_note, verified
from authz_service.audit.proofs import is_consistent
from authz_service.errors import Misconfigured
from authz_service.keys.log_key import is_ed25519_signature
from authz_service.runtime.checkpoints import Checkpoints


def test_each_checkpoint_is_signed_and_proves_that_it_adds_to_the_one_before(log_place: Place) -> None:
    async def scenario() -> None:
        store = await log_place.open()
        memory = Memory()
        checkpoints = log_place.checkpoints(store, memory)
        delivering = asyncio.create_task(checkpoints.deliveries.run())
        for count in (1, 4, 2, 7):
            await store.append(*[ENTRY] * count)
            await checkpoints.take()
            await until(lambda: bool(memory.got) and memory.got[-1].checkpoint.size == checkpoints.size)
        await checkpoints.take()  # nothing new: no checkpoint
        delivering.cancel()
        assert log_place.sizes() == [1, 5, 7, 14]
        assert [d.checkpoint.size for d in memory.got] == [1, 5, 7, 14]
        for delivery in memory.got:
            assert (
                verified(parse_note(delivery.text), [KEY.vkey], is_ed25519_signature) == delivery.checkpoint
            )
            if delivery.previous is not None:
                old, new = delivery.previous, delivery.checkpoint
                assert is_consistent(old.size, old.root, new.size, new.root, delivery.proof)
        await store.close()

    within(scenario())
    assert log_place.path.stat().st_mode & 0o777 == 0o600
    assert log_place.path.parent.stat().st_mode & 0o777 == 0o700


async def reopened(log_place: Place) -> Checkpoints:
    """As at the next start: opened, and compared with the file."""
    store = await log_place.open()
    try:
        checkpoints = log_place.checkpoints(store)
        await checkpoints.compare()
        return checkpoints
    finally:
        await store.close()


def test_a_record_that_only_grew_is_taken_up_where_it_was(log_place: Place) -> None:
    async def scenario() -> None:
        await filled(log_place)
        checkpoints = await reopened(log_place)
        assert checkpoints.size == 11
        without = log_place.path.read_text().replace('"frontier":[', '"frontier":["00",')
        log_place.path.write_text(without)
        assert (await reopened(log_place)).size == 11  # the frontier is computed where the file has none

    within(scenario())


def test_a_restored_older_backup_is_refused_with_the_command_to_run(log_place: Place) -> None:
    async def scenario() -> None:
        await filled(log_place, (5,))
        backup = log_place.database.read_bytes()
        await filled(log_place, (6,))
        log_place.database.write_bytes(backup)
        with pytest.raises(Misconfigured, match=r"has 6 entries, and had 12.*authz audit accept"):
            await reopened(log_place)

    within(scenario())


@pytest.mark.parametrize("with_frontier", [True, False])
def test_a_record_that_was_rewritten_and_signed_again_is_refused(
    log_place: Place, with_frontier: bool
) -> None:
    async def scenario() -> None:
        await filled(log_place)
        kept = log_place.path.read_text()
        for path in (log_place.database, log_place.path):
            path.unlink()
        await filled(log_place, (20,))  # another record, by the same key
        log_place.path.write_text(
            kept if with_frontier else kept.replace('"frontier":[', '"frontier":["00",')
        )
        with pytest.raises(Misconfigured, match="the record is not what it was"):
            await reopened(log_place)

    within(scenario())


def test_checkpoints_of_another_log_are_refused(log_place: Place) -> None:
    async def scenario() -> None:
        await filled(log_place)
        log_place.path.write_text(log_place.path.read_text().replace("example.com", "example.org"))
        with pytest.raises(Misconfigured, match="another log"):
            await reopened(log_place)

    within(scenario())


def test_a_running_record_that_contradicts_its_checkpoint_is_pushed_nowhere(log_place: Place) -> None:
    async def scenario() -> None:
        store = await log_place.open()
        memory = Memory()
        checkpoints = log_place.checkpoints(store, memory)
        delivering = asyncio.create_task(checkpoints.deliveries.run())
        await store.append(*[ENTRY] * 5)
        await checkpoints.take()
        await until(lambda: bool(memory.got))
        await store.append(*[ENTRY] * 5)
        log_place.change("UPDATE entries SET leaf = ? WHERE seq = 8", bytes(32))
        await checkpoints.take()
        assert not checkpoints.is_consistent
        assert log_place.sizes() == [5]
        log_place.change("DELETE FROM entries WHERE seq = 8")
        await checkpoints.take()
        assert log_place.sizes() == [5]
        assert len(memory.got) == 1
        delivering.cancel()
        await store.close()

    within(scenario())


def test_a_head_whose_signature_was_changed_is_pushed_nowhere(log_place: Place) -> None:
    async def scenario() -> None:
        store = await log_place.open()
        checkpoints = log_place.checkpoints(store)
        await store.append(ENTRY)
        await checkpoints.take()
        await store.append(ENTRY)
        log_place.change("UPDATE head SET signature = ?", bytes(68))
        await checkpoints.take()
        assert not checkpoints.is_consistent
        assert log_place.sizes() == [1]
        await store.close()

    within(scenario())


@pytest.mark.parametrize("column", ["frontier", "root"])
def test_a_head_that_is_damaged_while_the_service_runs_is_said_and_ends_nothing(
    log_place: Place, column: str
) -> None:
    async def scenario() -> None:
        store = await log_place.open()
        checkpoints = log_place.checkpoints(store)
        await store.append(ENTRY, ENTRY, ENTRY)
        await checkpoints.take()
        log_place.change(f"UPDATE head SET {column} = x''")
        with capture_logs() as logs:
            await checkpoints.take()
        assert [line["event"] for line in logs] == ["checkpoint.inconsistent"]
        assert not checkpoints.is_consistent
        assert log_place.sizes() == [3]
        await store.close()

    within(scenario())


def test_whatever_else_goes_wrong_with_one_is_logged_without_what_it_says(
    log_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        store = await log_place.open()
        checkpoints = log_place.checkpoints(store)

        async def broken(since: object = None) -> None:
            raise KeyError("a secret")

        monkeypatch.setattr(store, "signed_head", broken)
        with capture_logs() as logs:
            await checkpoints.take()
        assert [(line["event"], line["error"]) for line in logs] == [("checkpoint.failed", "KeyError")]
        await store.close()

    within(scenario())
