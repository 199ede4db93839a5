"""Holds as they are listed, and their changes as they are told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.store.opened_holds import opened

from authz_service.core.stored_holds import HoldQuery, HoldState


def test_states_are_told_of_those_that_there_are_overdue_ones_as_expired(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            one = await opened(store, make.hold(request="1"))
            two = await opened(store, make.hold(request="2"))
            await store.vote(make.ballot(one), make.limits)
            many = [one.id, two.id, "hold_none", *(f"hold_{n}" for n in range(1000))]
            states = {one.id: HoldState.APPROVED, two.id: HoldState.PENDING}
            assert await store.hold_states(many) == states
            place.clock.time += 86_400
            assert set((await store.hold_states(many)).values()) == {HoldState.EXPIRED}
            assert await store.hold_states([]) == {}

    run(scenario())


def test_changes_of_holds_are_told_in_order_from_a_cursor(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            assert await store.hold_changes(0) == []
            one = await opened(store, make.hold(request="1"))
            two = await opened(store, make.hold(request="2"))
            changes = await store.hold_changes(0)
            assert [(c.hold, c.state) for c in changes] == [
                (one.id, HoldState.PENDING),
                (two.id, HoldState.PENDING),
            ]
            await store.vote(make.ballot(one), make.limits)
            (change,) = await store.hold_changes(changes[-1].cursor)
            assert (change.hold, change.state) == (one.id, HoldState.APPROVED)
            await store.consume(one.id, digest=one.digest, session="x", entries=[make.released("x")])
            (change,) = await store.hold_changes(change.cursor)
            assert change.state is HoldState.RELEASED
            assert await store.hold_changes(change.cursor) == []

    run(scenario())


def test_ids_keys_and_reasons_of_any_kind_are_answered(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for id in ("a\x00b", "\ud800", "x" * 100_000, ""):
                assert await store.hold(id) is None
                assert await store.session(id) is None
                assert await store.entries(id) == []
                assert not await store.consume(id, digest="", session="x", entries=[make.released("x")])
            hold = await opened(store, make.hold())
            odd = "\x00\ud800" * 5000
            ballot = replace(make.ballot(hold, key=odd), reason=odd, name=odd)
            assert await store.vote(ballot, make.limits) == await store.vote(ballot, make.limits)

    run(scenario())


def test_lists_of_holds_are_filtered_and_paged(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            ids = [(await opened(store, make.hold(request=f"request {i}"))).id for i in range(5)]
            await store.vote(make.ballot(await store.hold(ids[1])), make.limits)
            query = HoldQuery(states=(HoldState.PENDING,), caller="alice", model="llama", rule="contractors")
            assert [h.id for h in (await store.holds(query)).items] == [ids[4], ids[3], ids[2], ids[0]]
            assert (await store.holds(replace(query, rule="other"))).items == ()
            seen: list[str] = []
            page = await store.holds(replace(query, page_size=2))
            while page.next_page_token:
                assert len(page.items) == 2
                seen += [h.id for h in page.items]
                page = await store.holds(replace(query, page_size=2, page_token=page.next_page_token))
            assert seen + [h.id for h in page.items] == [ids[4], ids[3], ids[2], ids[0]]

    run(scenario())


def test_lists_and_votes_open_nothing_of_what_is_held(
    place: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_arguments: Any) -> Any:
        raise AssertionError("a payload was read")

    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            for module in ("loading", "queries"):
                monkeypatch.setattr(f"authz_service.store.{module}.read_payloads", refused)
            assert (await store.holds(HoldQuery())).items == (hold,)
            assert await store.summaries([hold.id, "other"]) == {hold.id: hold}
            assert (await store.vote(make.ballot(hold), make.limits)).state is HoldState.APPROVED
            for reads in (store.hold(hold.id), store.held_bytes([hold.id])):
                with pytest.raises(AssertionError, match="a payload was read"):
                    await reads

    run(scenario())
