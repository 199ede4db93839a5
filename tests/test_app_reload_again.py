"""A file that is given again while its rules wait for the record: what it had before never decides."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.servers.ext_proc_fakes import ALICE, CONFIG
from tests.test_app_reload import Reloading, Reluctant, reloading, serving_reluctantly

from authz_service.app import service
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.config.notify_values import Notify

NOBODY = replace(ALICE, groups=())
LAX = CONFIG.replace("'staff' in caller.groups", "true")
"""A mistake, which is corrected in the file before it could be put on record."""
SECRET = "s3cret"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(service, "LONGEST_DELAY", 0.02)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Until it is set, the commit of the corrected rules goes on."""
    done, takes = asyncio.Event(), Reluctant.append

    async def append(self: Reluctant, *drafts: EntryDraft) -> None:
        is_rules = drafts[0].kind is Kind.POLICY_ACTIVATED
        if is_rules and self.takes_rules and drafts[0].payloads["file"] == CONFIG.encode():
            await done.wait()
        await takes(self, *drafts)

    monkeypatch.setattr(Reluctant, "append", append)
    return done


def again(begun: Reloading, folder: Path, text: str) -> asyncio.Task[None]:
    """What a SIGHUP does, after the file was written."""
    (folder / "authz.yaml").write_text(text)
    return asyncio.create_task(begun.whole.reload())


async def policies_on_record(begun: Reloading) -> list[object]:
    """The digests of the rules that came into force, in order."""
    entries = await begun.store.entries_after(0)
    return [entry.data["policy"] for entry in entries if entry.kind == "policy.activated"]


def test_rules_that_were_corrected_while_they_waited_never_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: asyncio.Event
) -> None:
    monkeypatch.setattr("tests.test_app_reload.STRICTER", LAX)

    async def scenario() -> None:
        async with serving_reluctantly(tmp_path) as (running, whole):
            good, before = running.gateway.rules, whole.loaded
            begun = await reloading(running, whole, tmp_path)
            corrected = again(begun, tmp_path, CONFIG)
            await asyncio.sleep(0)
            await begun.recorded()
            assert await begun.asked(NOBODY) == (503, "rules_pending")
            assert not whole.serves()
            assert running.gateway.rules is good  # an answer that starts now is read by these
            assert whole.rules is good
            assert whole.loaded is before  # by which is asked who may vote
            slow.set()
            await corrected
            assert whole.serves()
            assert (await begun.asked(NOBODY))[0] == 403
            assert (await begun.asked())[0] == 200

    asyncio.run(scenario())


def test_a_fault_in_what_the_file_has_now_leaves_the_rules_in_force_that_waited(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving_reluctantly(tmp_path) as (running, whole):
            begun = await reloading(running, whole, tmp_path)
            faulty = again(begun, tmp_path, "rules: [")
            await asyncio.sleep(0)
            await begun.recorded()
            await faulty
            assert whole.serves()
            assert (await begun.asked())[0] == 403
            assert whole.loaded.digest == (await policies_on_record(begun))[-1]

    asyncio.run(scenario())


@pytest.mark.parametrize("text", [CONFIG, "rules: ["], ids=["corrected", "faulty"])
def test_only_the_receivers_of_rules_that_come_into_force_are_told_of_holds(
    tmp_path: Path, slow: asyncio.Event, text: str
) -> None:
    told: list[Notify] = []

    async def scenario() -> str:
        async with serving_reluctantly(tmp_path, told) as (running, whole):
            begun = await reloading(running, whole, tmp_path)
            again_given = again(begun, tmp_path, text)
            await asyncio.sleep(0)
            await begun.recorded()
            if text == CONFIG:
                assert told == []
            slow.set()
            await again_given
            (notify,) = told
            assert notify is whole.loaded.config.notify
            return whole.loaded.digest

    with capture_logs() as logs:
        in_force = asyncio.run(scenario())
    assert [line["policy"] for line in logs if line["event"] == "policy.activated"] == [in_force]


def test_however_often_it_is_given_while_one_waits_it_is_taken_in_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving_reluctantly(tmp_path) as (running, whole):
            begun = await reloading(running, whole, tmp_path)
            more = [again(begun, tmp_path, CONFIG) for _ in range(5)]
            await asyncio.sleep(0)
            await begun.recorded()
            await asyncio.gather(*more)
            first, second = await policies_on_record(begun)
            assert first != second == whole.loaded.digest
            assert whole.serves()
            assert (await begun.asked())[0] == 200

    asyncio.run(scenario())


def broken(*_: object) -> None:
    raise RuntimeError(f"as a library says it: {SECRET}")


@pytest.mark.parametrize("waits", [True, False], ids=["while others wait", "alone"])
def test_a_fault_of_ours_in_taking_it_in_leaves_the_last_good_rules_in_force_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: bool
) -> None:
    async def scenario() -> None:
        async with serving_reluctantly(tmp_path) as (running, whole):
            if waits:
                begun = await reloading(running, whole, tmp_path)
                faulty = again(begun, tmp_path, CONFIG)
                await asyncio.sleep(0)
                monkeypatch.setattr(service, "rules_of", broken)
                await begun.recorded()
                await faulty
            else:
                monkeypatch.setattr(service, "rules_of", broken)
                await whole.reload()
                begun = Reloading(running, whole, asyncio.create_task(asyncio.sleep(0)))
            assert whole.serves()
            assert (await begun.asked())[0] == (403 if waits else 200)
            refused = [one for one in await begun.store.entries_after(0) if one.kind == "policy.refused"]
            assert [one.data["policy"] for one in refused] == [whole.loaded.digest]

    with capture_logs() as logs:
        asyncio.run(scenario())
    (kept,) = [line for line in logs if line["event"] == "policy.kept"]
    assert "RuntimeError" in kept["error"]
    assert "in broken" in kept["at"][-1]
    assert SECRET not in repr(kept)
