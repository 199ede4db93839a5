"""What is on record goes in time, by hand or with a person's key, never what is kept; the rest stands."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.store.forgetting import DAY, ORDER, commented, exchange, purge_all, request, require_whole, rows

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.core.acts import ActKind
from authz_service.core.forgetting import Purged
from authz_service.core.holds import Verdict
from authz_service.core.sessions import SessionQuery
from authz_service.errors import NotFound, Unavailable


def test_payloads_go_in_time_with_a_tombstone_and_the_rest_stands(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "old"))
            sealed.clock.time += 60 * DAY
            await store.append(*exchange(make, "young"))
            sealed.clock.time += 31 * DAY
            planned = await store.forgetting.purge_preview(request(sealed))
            assert rows(sealed, "SELECT count(*) FROM payloads")[0][0] == 6
            taken = await purge_all(store, request(sealed))
            assert (planned.entries, planned.payloads, planned.size) == (5, 3, taken.size)
            assert (taken.entries, taken.payloads) == (5, 3)
            entries = await store.entries("old")
            assert all(not entry.payloads for entry in entries)
            assert entries[0].missing == {
                "caller": "purged on 2027-04-16 (record.keep.payloads: 90d; entry 11)"
            }
            assert len((await store.entries("young"))[2].payloads) == 1
            session = await store.session("old")
            assert (session.caller, session.path, session.model) == (None, "", "llama")
            (tombstone,) = await store.entries("record.retention")
            assert tombstone.data["payloads"] == 3
            assert await purge_all(store, request(sealed)) == Purged()
            assert len(await store.entries("record.retention")) == 1

    run(scenario())
    require_whole(sealed)


def test_a_list_goes_on_where_it_was_after_a_purge_between_two_pages(
    sealed: Any, make: Any, run: Any
) -> None:
    """What stays is on one page each; the page's last session may itself be gone by then."""

    async def scenario() -> None:
        async with sealed.store() as store:
            for name in ("kept", "a", "b"):
                await store.append(*exchange(make, name))
            await store.forgetting.keep(session="kept", subject=None, order=ORDER)
            sealed.clock.time += 300 * DAY
            for name in ("c", "d", "e"):
                await store.append(*exchange(make, name))
            sealed.clock.time += 101 * DAY
            pages = [await store.sessions(SessionQuery(page_size=size)) for size in (2, 4)]
            assert [[found.id for found in page.items] for page in pages] == [
                ["e", "d"],
                ["e", "d", "c", "b"],
            ]
            await purge_all(store, request(sealed))
            assert (await purge_all(store, request(sealed, 400, Retention.ENTRIES))).entries
            rest = []
            for page in pages:
                more = await store.sessions(SessionQuery(page_size=2, page_token=page.next_page_token))
                assert more.next_page_token == ""
                rest.append([found.id for found in more.items])
            assert rest == [["c", "kept"], ["kept"]]

    run(scenario())


def test_entries_go_later_and_their_leaves_stay(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(
                EntryDraft(Kind.POLICY_ACTIVATED, data={"policy": "d"}, payloads={"file": b"f"})
            )
            await store.append(EntryDraft(Kind.LOG_KEY_CREATED, data={"key": "k"}))
            await store.append(*exchange(make, "old"))
            sealed.clock.time += 401 * DAY
            await store.append(*exchange(make, "young"))
            await purge_all(store, request(sealed))
            taken = await purge_all(store, request(sealed, 400, Retention.ENTRIES))
            assert taken.entries == 5
            assert await store.session("old") is None
            assert await store.entries("old") == []
            assert [s.id for s in (await store.sessions(SessionQuery())).items] == ["young"]
            assert await store.policy_file("d") == b"f"  # today's decisions may name it
        async with sealed.store() as store:
            await store.append(*exchange(make, "after"))

    run(scenario())
    require_whole(sealed)
    emptied = [row.seq for row in rows(sealed, "SELECT seq, body FROM entries ORDER BY seq") if not row.body]
    assert emptied == [3, 4, 5, 6, 7]


def test_a_session_that_is_kept_or_has_not_ended_is_passed_over_and_taken_once_it_may(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "kept"), *exchange(make, "bob's", "bob"))
            await store.append(*exchange(make, "open", "carol", end=False), *exchange(make, "free", "dora"))
            forgetting = store.forgetting
            keep = await forgetting.keep(session="kept", subject=None, order=ORDER)
            await forgetting.keep(session=None, subject="p-bob", order=ORDER)
            assert [(k.keep.session, k.keep.subject, k.order) for k in await forgetting.keeps()] == [
                ("kept", None, ORDER),
                (None, "p-bob", ORDER),
            ]
            sealed.clock.time += 100 * DAY
            assert (await purge_all(store, request(sealed))).payloads == 3
            assert len((await store.entries("kept"))[2].payloads) == 1
            assert len((await store.entries("bob's"))[2].payloads) == 1
            assert len((await store.entries("open"))[2].payloads) == 1
            assert not (await store.entries("free"))[2].payloads
            await forgetting.lift(keep.id, ORDER)
            with pytest.raises(NotFound):
                await forgetting.lift(keep.id, ORDER)
            await store.append(make.ended("open"))
            assert (await purge_all(store, request(sealed))).payloads == 3
            assert not (await store.entries("kept"))[2].payloads
            sealed.clock.time += 100 * DAY
            assert (await purge_all(store, request(sealed))).payloads >= 3
            assert not (await store.entries("open"))[2].payloads
            assert len((await store.entries("bob's"))[2].payloads) == 1
            with pytest.raises(NotFound):
                await forgetting.keep(session="none", subject=None, order=ORDER)

    run(scenario())
    require_whole(sealed)


def test_what_was_decided_alone_is_not_purged_before_it_is_reviewed(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            alone = replace(make.ballot(hold, "gus", Verdict.REJECT), may_vote_in=(), is_break_glass=True)
            await store.vote(alone, make.limits)
            await store.append(make.ended("s1"))
            sealed.clock.time += 91 * DAY
            assert (await purge_all(store, request(sealed))).payloads == 0
            assert await store.hold(hold.id) is not None
            await store.act(commented(hold.id, "rita", ActKind.REVIEW), make.limits)
            assert (await purge_all(store, request(sealed))).payloads > 0
            assert await store.hold(hold.id) is None

    run(scenario())
    assert rows(sealed, "SELECT * FROM hold_acts") == []


def masked_exchange(make: Any, session: str, *, end: bool = True) -> list[EntryDraft]:
    """One that values before masking are kept of, on both sides."""
    received = make.received(session)
    received = replace(received, payloads={**received.payloads, "original": b"jane@example.com"})
    answered = EntryDraft(
        Kind.ANSWER_RELEASED, session, {}, {"body": b"[EMAIL_ADDRESS]", "original": b"joe@example.com"}
    )
    drafts = [received, make.released(session, b"[EMAIL_ADDRESS]"), answered]
    return [*drafts, make.ended(session)] if end else drafts


def originals(place: Any) -> int:
    return int(rows(place, "SELECT count(*) FROM payloads WHERE retention = 'originals'")[0][0])


def test_values_before_masking_go_before_the_rest_and_leave_no_tombstones_where_there_are_none(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*[d for number in range(150) for d in exchange(make, f"before {number}")])
            sealed.clock.time += 1
            await store.append(*masked_exchange(make, "masked"))
            await store.append(*masked_exchange(make, "open", end=False))
            sealed.clock.time += 1
            await store.append(*[d for number in range(150) for d in exchange(make, f"after {number}")])
            sealed.clock.time += 2 * DAY
            what = request(sealed, 1, Retention.ORIGINALS)
            assert (await store.forgetting.purge_preview(what)).payloads == 2
            assert (await purge_all(store, what)).payloads == 2
            masked = await store.entries("masked")
            assert [sorted(entry.payloads) for entry in masked[:3]] == [["caller"], ["body"], ["body"]]
            assert masked[0].missing["original"].startswith("purged on ")
            assert (await store.session("masked")).caller is not None
            assert originals(sealed) == 2
            tombstones = await store.entries("record.retention")
            assert tombstones[0].data["first"] == 751
            assert [t.data["but"] for t in tombstones] == [["open"]]
            await store.append(*[d for number in range(90) for d in exchange(make, f"later {number}")])
            sealed.clock.time += 2 * DAY
            again = request(sealed, 1, Retention.ORIGINALS)
            assert await purge_all(store, again) == Purged(), "nothing is left but what is open"
            assert len(await store.entries("record.retention")) == 1
            await store.append(make.ended("open"))
            sealed.clock.time += 2 * DAY
            assert (await purge_all(store, request(sealed, 1, Retention.ORIGINALS))).payloads == 2
            assert originals(sealed) == 0

    run(scenario())
    require_whole(sealed)


@pytest.mark.parametrize("of", [Retention.PAYLOADS, Retention.ENTRIES])
def test_with_payloads_go_the_values_before_masking(sealed: Any, make: Any, run: Any, of: Retention) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*masked_exchange(make, "masked"))
            sealed.clock.time += 2 * DAY
            await purge_all(store, request(sealed, 1, of))

    run(scenario())
    assert originals(sealed) == 0
    require_whole(sealed)


def test_a_batch_that_the_disk_has_no_room_for_takes_nothing(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from authz_service.store import purging

    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "old"))
            sealed.clock.time += 100 * DAY
            with monkeypatch.context() as patched:
                patched.setattr(purging, "_wipe_sessions", full)
                with pytest.raises(Unavailable):
                    await store.forgetting.purge(request(sealed))
            assert len((await store.entries("old"))[2].payloads) == 1
            assert await store.entries("record.retention") == []
            assert (await purge_all(store, request(sealed))).payloads == 3

    run(scenario())


def test_a_long_purge_goes_in_batches_between_which_others_write(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            for number in range(200):
                await store.append(*exchange(make, f"s{number}"))
            sealed.clock.time += 100 * DAY
            first = await store.forgetting.purge(request(sealed))
            assert first.has_more
            assert first.entries == 64
            done = asyncio.ensure_future(purge_all(store, request(sealed)))
            await store.append(*exchange(make, "now"))
            assert first.payloads + (await done).payloads == 600
            assert (await store.entries("now"))[2].payloads

    run(scenario())
    require_whole(sealed)
