"""A purge plans outside of the writer's transaction; what came meanwhile is seen before anything goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.store.forgetting import ALICE, DAY, ORDER, exchange, purge_all, request
from tests.store.forgotten import KEY, verify

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.errors import Unavailable
from authz_service.store import purge_batches, purging
from authz_service.store.forgetting import Forgetting
from authz_service.store.transaction import Transaction


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]], times: int = 1
) -> None:
    """So often something happens between what is planned and its transaction."""
    real = Forgetting._take_planned
    left = [None] * times

    async def taken(self: Forgetting, planned: Any) -> Any:
        if left:
            left.pop()
            await happens()
        return await real(self, planned)

    monkeypatch.setattr(Forgetting, "_take_planned", taken)


def reading(session: str) -> EntryDraft:
    return EntryDraft(Kind.SESSION_READ, session, {}, {"reader": b"{}"}, ALICE)


def test_what_is_kept_after_it_was_planned_stays(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session in ("kept", "free"):
                await store.append(*exchange(make, session))
            sealed.clock.time += 100 * DAY
            meanwhile(monkeypatch, lambda: store.forgetting.keep(session="kept", subject=None, order=ORDER))
            assert (await purge_all(store, request(sealed))).payloads == 3
            assert (await store.entries("kept"))[2].payloads
            assert not (await store.entries("free"))[2].payloads

    run(scenario())
    assert verify(sealed) == []


@pytest.mark.parametrize("of", [Retention.PAYLOADS, Retention.ENTRIES])
def test_what_was_passed_over_goes_whole_also_what_came_after_it_was_planned(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, of: Retention
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session in ("kept", "free"):
                await store.append(*exchange(make, session))
            keep = await store.forgetting.keep(session="kept", subject=None, order=ORDER)
            sealed.clock.time += 100 * DAY
            await purge_all(store, request(sealed, of=of))
            await store.forgetting.lift(keep.id, ORDER)
            meanwhile(monkeypatch, lambda: store.append(reading("kept")))
            assert (await purge_all(store, request(sealed, of=of))).payloads == 4

    run(scenario())
    assert verify(sealed) == []


def test_a_session_that_somebody_on_legal_hold_reads_after_it_was_planned_stays(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            for session in ("read", "free"):
                await store.append(*exchange(make, session, "bob"))
            await store.forgetting.keep(session=None, subject=sealed.pseudonym(ALICE), order=ORDER)
            sealed.clock.time += 100 * DAY
            meanwhile(monkeypatch, lambda: store.append(reading("read")))
            assert (await purge_all(store, request(sealed))).payloads == 3
            assert (await store.entries("read"))[2].payloads

    run(scenario())
    assert verify(sealed) == []


def test_a_session_of_which_a_grant_is_made_after_it_was_planned_stays(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            limits = make.limits
            opening = await store.open_hold(make.hold("held", traits=make.traits), limits)
            hold = opening.hold
            await store.vote(make.ballot(hold), limits)
            await store.consume(hold.id, digest=hold.digest, session="held", entries=[make.released("held")])
            await store.append(make.ended("held"))
            await store.append(*exchange(make, "free"))
            sealed.clock.time += 100 * DAY
            until = int(await store.now()) + 60

            def granted() -> Awaitable[object]:
                terms = make.terms(until=until)
                return store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())  # type: ignore[no-any-return]  # a store of the fixture's

            meanwhile(monkeypatch, granted)
            await purge_all(store, request(sealed))
            assert await store.hold(hold.id) is not None
            assert not (await store.entries("free"))[2].payloads

    run(scenario())


def test_what_changes_at_every_look_is_refused_and_goes_the_next_time(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "old"))
            await store.append(*exchange(make, "other"))
            sealed.clock.time += 100 * DAY

            async def keeps() -> None:
                await store.forgetting.keep(session="other", subject=None, order=ORDER)

            meanwhile(monkeypatch, keeps, times=5)
            with pytest.raises(Unavailable) as refused:
                await purge_all(store, request(sealed))
            assert refused.value.code == "store_busy"
            assert (await purge_all(store, request(sealed))).payloads == 3

    run(scenario())


def test_no_entry_is_looked_for_while_others_wait_for_the_writer(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[bool] = []
    next_range = purge_batches.next_range

    def looks(reader: Any, *given: Any, **named: Any) -> Any:
        looked.append(isinstance(reader, Transaction))
        return next_range(reader, *given, **named)

    async def scenario() -> None:
        async with sealed.store() as store:
            for number in range(30):
                await store.append(*exchange(make, f"old {number}"))
            sealed.clock.time += 100 * DAY
            monkeypatch.setattr(purging, "next_range", looks)
            assert (await purge_all(store, request(sealed))).payloads == 90
            assert set(looked) == {False}
            sizes = [entry.data["entries"] for entry in await store.entries("record.retention")]
            assert len(sizes) > 1
            assert sizes[0] == 64

    run(scenario())
