"""The recorder's backlog: in order, bounded, through outages, and no entry stops those behind it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from structlog.testing import capture_logs

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.ports import BEGUN_BEFORE, Store
from authz_service.errors import Conflict, Unavailable
from authz_service.runtime import recorder as module
from authz_service.runtime.recorder import MOST_SOURCES, Recorder


class Record:
    """Sessions that begin once, as in the store, and an outage at will."""

    def __init__(self) -> None:
        self.entries: list[EntryDraft] = []
        self.is_away = False

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
        if self.is_away:
            raise Unavailable("away")
        begun = {entry.session for entry in self.entries if entry.kind is Kind.REQUEST_RECEIVED}
        if any(d.kind is Kind.REQUEST_RECEIVED and d.session in begun for d in drafts):
            raise Conflict("this exchange has begun before", code=BEGUN_BEFORE)
        self.entries += drafts


def begun(session: str) -> EntryDraft:
    return EntryDraft(Kind.REQUEST_RECEIVED, session)


def ended(session: str) -> EntryDraft:
    return EntryDraft(Kind.EXCHANGE_ENDED, session)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def recorder(record: Record) -> Recorder:
    return Recorder(cast(Store, record))


def test_an_outage_keeps_everything_in_order(recorder: Recorder, record: Record) -> None:
    record.is_away = True
    for name in ("a", "b"):
        recorder.later((begun(name), ended(name)))
    asyncio.run(recorder.drain())
    assert record.entries == []
    record.is_away = False
    asyncio.run(recorder.drain())
    assert record.entries == [begun("a"), ended("a"), begun("b"), ended("b")]


def test_a_beginning_that_was_committed_and_not_told_keeps_no_end_from_the_record(
    recorder: Recorder, record: Record
) -> None:
    record.entries.append(begun("a"))
    recorder.later((begun("a"), ended("a")))
    recorder.later((begun("b"), ended("b")))
    asyncio.run(recorder.drain())
    assert record.entries == [begun("a"), ended("a"), begun("b"), ended("b")]


def test_what_cannot_be_recorded_stops_nothing_behind_it(recorder: Recorder, record: Record) -> None:
    record.entries.append(begun("a"))
    recorder.later((begun("a"),))
    recorder.later((ended("a"),))
    asyncio.run(recorder.drain())
    assert record.entries == [begun("a"), ended("a")]


def test_it_writes_by_itself_once_there_is_something(recorder: Recorder, record: Record) -> None:
    async def scenario() -> None:
        running = asyncio.create_task(recorder.run())
        async with asyncio.timeout(60):
            recorder.later((ended("a"),))
            while not record.entries:
                await asyncio.sleep(0.005)
        running.cancel()

    asyncio.run(scenario())
    assert record.entries == [ended("a")]


def test_a_full_backlog_loses_its_oldest(
    recorder: Recorder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_BACKLOG", 2)
    for name in ("a", "b", "c"):
        recorder.later((ended(name),))
    asyncio.run(recorder.drain())
    assert record.entries == [ended("b"), ended("c")]


def asked(session: str, body: bytes) -> EntryDraft:
    return EntryDraft(Kind.REQUEST_RECEIVED, session, payloads={"body": body, "name": b"ann"})


def test_of_bodies_for_which_there_is_no_room_the_entries_are_kept(
    recorder: Recorder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_BACKLOG", 20_000)
    bodies = {"a": b"x" * 15_000, "b": b"y" * 15_000, "c": b"z" * 3_000}
    for _ in range(2):  # what was written makes room again
        with capture_logs() as logs:
            for name, body in bodies.items():
                recorder.later((asked(name, body), ended(name)))
            recorder.later((EntryDraft(Kind.EXCHANGE_ENDED, "d", payloads={"name": b"x" * 3_000}),))
        assert [line["session"] for line in logs] == ["b"]  # and not whoever has nothing to leave out
        asyncio.run(recorder.drain())
        assert record.entries.pop().session == "d"
        kept = {str(draft.session): sorted(draft.payloads) for draft in record.entries if draft.payloads}
        assert kept == {"a": ["body", "name"], "b": ["name"], "c": ["body", "name"]}
        assert [entry.session for entry in record.entries] == ["a", "a", "b", "b", "c", "c"]
        record.entries.clear()


def test_what_is_given_up_or_shortened_makes_room_too(
    recorder: Recorder, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_BACKLOG", 20_000)
    monkeypatch.setattr(module, "LONGEST_BACKLOG", 2)
    record.entries = [begun("a"), begun("b")]  # committed, and nobody was told
    for name in ("lost", "a", "b"):
        recorder.later((asked(name, b"x" * 9_000), ended(name)))
    asyncio.run(recorder.drain())
    recorder.later((asked("c", b"x" * 19_000),))
    asyncio.run(recorder.drain())
    assert sorted(record.entries[-1].payloads) == ["body", "name"]


def test_refusals_are_counted_and_a_flood_of_sources_is_one(recorder: Recorder, record: Record) -> None:
    for number in range(MOST_SOURCES + 50):
        recorder.count(f"source {number}", "missing_token")
    recorder.count("source 0", "missing_token")
    asyncio.run(recorder.drain(with_counts=True))
    counts = {e.payloads["source"]: e.data["count"] for e in record.entries}
    assert len(counts) == MOST_SOURCES + 1
    assert counts[b"others"] == 50
    assert counts[b"source 0"] == 2
