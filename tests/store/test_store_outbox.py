"""The outbox on both databases: queued with the entry, claimed by one, settled once, given up on record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.store.outboxes import ALL, DAY, KEY, change, claimed, events, opened, told, wrong

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.forgetting import PurgeRequest
from authz_service.core.holds import Approval, Escalation, Stage, StageRef, Verdict
from authz_service.core.notifications import NotificationQuery
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Unreadable


def test_each_event_of_a_hold_is_queued_with_its_entry(place: Any, make: Any, run: Any) -> None:
    stages = Approval("two", (Stage("true", 1, 600.0, Escalation("true", 600.0), 60.0),))

    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            hold = await opened(store, make)
            await store.vote(make.ballot(hold), HoldLimits())
            refused = await opened(store, make, request="two")
            await store.vote(make.ballot(refused, verdict=Verdict.REJECT), HoldLimits())
            slow = await opened(store, make, request="three", approvals=(stages,))
            for seconds in (545.0, 60.0, 540.0, 60.0):
                place.clock.time += seconds
                await store.expire_overdue()
            found = await claimed(store, most=100)
            by_hold = {h.id: [n.event for n in found if n.hold == h.id] for h in (hold, refused, slow)}
            assert by_hold == {
                hold.id: ["hold.opened", "hold.approved", "hold.expired"],
                refused.id: ["hold.opened", "hold.rejected"],
                slow.id: [
                    *("hold.opened", "hold.reminded", "hold.escalated"),
                    *("hold.reminded", "hold.expired"),
                ],
            }
            first = found[0]
            assert (first.hold, first.rule, first.model, first.name) == (
                *(hold.id, "contractors", "llama"),
                "alice",
            )
            assert first.deadline == hold.deadline
            assert await claimed(store, "pager") == []

    run(scenario())


def test_whoever_was_told_that_a_hold_is_approved_is_told_that_it_pends_again(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            hold = await opened(store, make)
            await store.vote(make.ballot(hold), HoldLimits())
            rita = ("https://issuer.example", "rita")
            back = await store.act(ActDraft(hold.id, ActKind.WITHDRAW, rita, rita, "Rita"), HoldLimits())
            assert back.state is HoldState.PENDING
            found = await claimed(store, most=100)
            assert events(found) == ["hold.opened", "hold.approved", "hold.withdrawn"]
            assert found[-1].deadline == back.deadline
        assert wrong(place) == []

    run(scenario())


def test_whoever_is_not_to_be_told_gets_no_row(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            before = await opened(store, make)
            store.outbox.wanted = told(("chat", ("approved",)))
            await opened(store, make, request="two")
            await store.vote(make.ballot(before), HoldLimits())
            page = await store.notifications(NotificationQuery())
            assert events(page.items) == ["hold.approved"]

    run(scenario())


def test_what_is_not_committed_is_not_queued(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL

            def fails(transaction: Any) -> None:
                transaction.record(EntryDraft(Kind.HOLD_OPENED, "s", {"hold": "hld_x"}))
                raise RuntimeError("it was not to be")

            with pytest.raises(RuntimeError):
                await store.change(fails)
            assert (await store.notifications(NotificationQuery())).items == ()
            assert await store.queues() == []

    run(scenario())


def test_a_list_has_pages_that_miss_and_repeat_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = told(*((name, ("opened",)) for name in "abc"))
            for number in range(5):
                last = await opened(store, make, request=str(number))
            for size in (1, 2, 3, 4, 7, 15, 20):
                seen: list[str] = []
                query = NotificationQuery(page_size=size)
                while True:
                    page = await store.notifications(query)
                    seen += [notification.id for notification in page.items]
                    if not page.next_page_token:
                        break
                    query = NotificationQuery(page_size=size, page_token=page.next_page_token)
                assert len(seen) == len(set(seen)) == 15, size
            only = await store.notifications(NotificationQuery(receiver="b", hold=last.id))
            assert [(n.receiver, n.hold) for n in only.items] == [("b", last.id)]
            with pytest.raises(Unreadable):
                await store.notifications(NotificationQuery(receiver="b", page_token="x"))

    run(scenario())


def test_with_a_hold_go_its_notifications(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            hold = await opened(store, make)
            await store.vote(make.ballot(hold, verdict=Verdict.REJECT), HoldLimits())
            await store.append(make.ended(hold.session))
            place.clock.time += 10 * DAY
            before = round((place.clock.time - DAY) * 1e6)
            what = PurgeRequest(
                retention=Retention.PAYLOADS, before=before, policy="record.keep.payloads: 1d"
            )
            while (await store.forgetting.purge(what)).has_more:
                pass
            assert (await store.notifications(NotificationQuery())).items == ()
            assert await claimed(store) == []
        assert wrong(place) == []

    run(scenario())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("seq", "1"), ("hold", "'hld_other'"), ("event", "'hold.approved'"), ("at", "5")),
        *(("deadline", "NULL"), ("deadline", "5"), ("state", "'given_up'"), ("state", "'x'")),
        *(("changed", "2"), ("changed", "999")),
    ],
)
def test_a_changed_row_is_named(place: Any, make: Any, run: Any, column: str, value: str) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            await opened(store, make)
            (found,) = (await store.notifications(NotificationQuery())).items
        assert wrong(place) == []
        change(place, f"UPDATE outbox SET {column} = {value}")
        assert [record for record, _ in wrong(place)] == [f"notification {found.id}"]

    run(scenario())


def test_a_row_that_was_given_up_cannot_pass_for_another(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            store.outbox.wanted = ALL
            await opened(store, make)
            (found,) = await claimed(store)
            await store.not_delivered(found, error="it answers 500", again_in=None)
        assert wrong(place) == []
        as_it_was = (
            "UPDATE outbox SET state = 'given_up', receiver = 'chat', changed = (SELECT size FROM head)"
        )
        for statement in ("state = 'delivered'", "state = 'queued'", "receiver = 'pager'", "changed = NULL"):
            change(place, f"UPDATE outbox SET {statement}")
            assert wrong(place), statement
            change(place, as_it_was)
            assert wrong(place) == []

    run(scenario())


def test_a_decision_alone_is_told(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            store.outbox.wanted = ALL
            hold = await opened(store, make)
            ballot = make.ballot(hold, stages=(StageRef("security", 0),))
            await store.vote(replace(ballot, is_break_glass=True), HoldLimits())
            assert events(await claimed(store, "pager")) == ["hold.break_glass"]

    run(scenario())
