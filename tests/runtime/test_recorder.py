"""What nothing waits for is recorded all the same, whatever befell the store meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.ports import Store
from authz_service.core.refusals import Refusal
from authz_service.runtime.recorder import Recorder
from authz_service.store.open import open_store

RECEIVED = EntryDraft(
    Kind.REQUEST_RECEIVED,
    "ses_1",
    {"api": "", "caller": "pseudonym", "method": "POST", "path": "/", "size": 0},
)
ENDED = EntryDraft(Kind.EXCHANGE_ENDED, "ses_1", {"outcome": "store_failed"})


def with_recorder(tmp_path: Path, story: Callable[[Store, Recorder], Awaitable[None]]) -> None:
    async def play() -> None:
        store = await open_store(f"sqlite:///{tmp_path}/a.db", instance="i", pseudonym=lambda who: who[1])
        try:
            await story(store, Recorder(store))
        finally:
            await store.close()

    asyncio.run(play())


def test_a_session_whose_beginning_was_committed_unheard_gets_its_end_and_what_follows_too(
    tmp_path: Path,
) -> None:
    async def story(store: Store, recorder: Recorder) -> None:
        await store.append(RECEIVED)
        recorder.later((RECEIVED, ENDED))
        recorder.later((EntryDraft(Kind.SERVICE_STOPPED),))
        await recorder.drain()
        kinds = [entry.kind for entry in await store.entries("ses_1")]
        assert kinds == [Kind.REQUEST_RECEIVED, Kind.EXCHANGE_ENDED]
        session = await store.session("ses_1")
        assert session is not None
        assert session.status == "store_failed"

    with_recorder(tmp_path, story)


def test_refusals_of_the_unauthenticated_are_counted_not_listed(tmp_path: Path) -> None:
    async def story(store: Store, recorder: Recorder) -> None:
        recorded: list[EntryDraft] = []
        append = store.append_own

        async def seen(*drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
            recorded.extend(drafts)
            await append(*drafts, stream=stream, again=again)

        store.append_own = seen  # type: ignore[method-assign]  # to see what has no session
        for _ in range(3):
            recorder.count("10.0.0.1", "invalid_token")
        recorder.count("10.0.0.2", "missing_token")
        await recorder.drain(with_counts=True)
        assert [(d.data["code"], d.data["count"]) for d in recorded] == [
            ("invalid_token", 3),
            ("missing_token", 1),
        ]

    with_recorder(tmp_path, story)


def test_a_drain_that_is_cancelled_while_it_commits_records_nothing_twice(tmp_path: Path) -> None:
    async def story(store: Store, recorder: Recorder) -> None:
        append = store.append_own
        committing = asyncio.Event()

        async def slow(*drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
            committing.set()
            await append(*drafts, stream=stream, again=again)

        store.append_own = slow  # type: ignore[method-assign]  # to be cancelled in the middle
        recorder.later((RECEIVED, ENDED))
        running = asyncio.create_task(recorder.run())
        await committing.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await recorder.drain()
        kinds = [entry.kind for entry in await store.entries("ses_1")]
        assert kinds == [Kind.REQUEST_RECEIVED, Kind.EXCHANGE_ENDED]

    with_recorder(tmp_path, story)


def test_refusals_that_were_counted_are_on_record_when_their_minute_is_over_and_when_it_stops(
    tmp_path: Path,
) -> None:
    async def story(store: Store, recorder: Recorder) -> None:
        clock = [0.0]
        recorder.clock = lambda: clock[0]
        limited = Refusal("pseudonym", "", "", "llama", "rate_limit_exceeded", "caller.concurrent")
        await store.append(RECEIVED, EntryDraft(Kind.EXCHANGE_ENDED, "ses_1", {"outcome": "limited"}))
        recorder.begin(limited, "ses_1")
        assert [recorder.counted(limited) for _ in range(3)] == ["ses_1"] * 3
        await recorder.drain()
        assert len(await store.entries("ses_1")) == 2
        clock[0] = 60.0
        running = asyncio.create_task(recorder.run())
        async with asyncio.timeout(60):
            while len(await store.entries("ses_1")) < 3:
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        again = (await store.entries("ses_1"))[-1]
        assert (again.kind, again.data["count"]) == (Kind.REQUEST_REFUSED_AGAIN, 3)
        assert recorder.counted(limited) is None
        await store.append(replace(RECEIVED, session="ses_2"))
        recorder.begin(limited, "ses_2")
        recorder.counted(limited)
        await recorder.drain(with_counts=True)
        assert (await store.entries("ses_2"))[-1].data["count"] == 1

    with_recorder(tmp_path, story)
