"""A hold that nobody waits for any more, since the rules have no question about it, ends with their word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from structlog.testing import capture_logs
from tests.store.verified_exports import exported

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.openings import Attached, Opened
from authz_service.core.stored_holds import HoldLimits, HoldState
from authz_service.errors import Conflict
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits()
RITA = ("https://issuer.example", "rita")


async def held(store: Any, draft: Any) -> Any:
    opening = await store.open_hold(draft, LIMITS)
    assert isinstance(opening, Opened | Attached)
    return opening.hold


def denial(make: Any, session: str) -> tuple[EntryDraft, ...]:
    refused = EntryDraft(Kind.REQUEST_REFUSED, session, {"code": "request_denied", "status": 403})
    return make.decided(session, "deny", "no"), refused, make.ended(session, "denied")


def release(make: Any, session: str) -> tuple[EntryDraft, ...]:
    return make.decided(session), make.released(session)


def fine(place: Any, folder: Path) -> None:
    """By both verifiers."""
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []
    for payloads in (True, False):
        assert exported(place, folder / str(payloads), payloads=payloads, key=KEY) == []


@pytest.mark.parametrize(("made", "why"), [(denial, "refused"), (release, "released")])
def test_it_ends_in_the_transaction_by_which_its_only_request_is_refused_or_let_through(
    made: Any, why: str, place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await held(store, make.hold("ses_1"))
            taken = await store.take_up("ses_1", "again")
            assert (taken.is_ours, taken.hold) == (True, hold.id)
            await store.settle(*made(make, "ses_1"), hold=hold.id, session="ses_1")
            found = await store.hold(hold.id)
            assert (found.state, found.superseded_by) == (HoldState.SUPERSEDED, "ses_1")
            assert not found.is_under_grant
            last = (await store.entries("ses_1"))[-1]
            assert (last.kind, last.data) == (
                "hold.superseded",
                {"hold": hold.id, "by": "ses_1", "state": "pending", "why": why},
            )
            with pytest.raises(Conflict, match=r"nobody has to be asked .* \(session ses_1\)") as late:
                await store.vote(make.ballot(hold), LIMITS)
            assert late.value.code == "hold_superseded"
            again = await held(store, make.hold("ses_2"))
            assert (again.id != hold.id, again.previous) == (True, hold.id)
        fine(place, tmp_path)

    run(scenario())


def test_it_stays_as_long_as_another_waits_for_it_and_ends_with_the_last(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await held(store, make.hold("ses_1"))
            await held(store, make.hold("ses_2"))
            for session, state in (("ses_1", HoldState.PENDING), ("ses_2", HoldState.SUPERSEDED)):
                await store.settle(*denial(make, session), hold=hold.id, session=session)
                assert (await store.hold(hold.id)).state is state
                assert [entry.kind for entry in await store.entries(session)].count("exchange.ended") == 1
            assert (await store.hold(hold.id)).superseded_by == "ses_2"
        fine(place, tmp_path)

    run(scenario())


def test_what_the_rules_let_through_leaves_no_approval_for_a_second_run(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await held(store, make.hold("ses_1"))
            await held(store, make.hold("ses_2"))
            await store.vote(make.ballot(hold), LIMITS)
            await store.settle(*release(make, "ses_1"), hold=hold.id, session="ses_1")
            assert (await store.hold(hold.id)).state is HoldState.APPROVED  # for the other, who waits for it
            await store.settle(*release(make, "ses_2"), hold=hold.id, session="ses_2")
            found = await store.hold(hold.id)
            assert (found.state, found.superseded_by) == (HoldState.SUPERSEDED, "ses_2")
            last = (await store.entries("ses_1"))[-1].data
            assert (last["state"], last["why"]) == ("approved", "released")
            again = await store.open_hold(make.hold("ses_3"), LIMITS)
            assert isinstance(again, Opened)
            assert again.hold.state is HoldState.PENDING
        fine(place, tmp_path)

    run(scenario())


def test_whoever_was_let_through_does_not_wait_for_it_any_more(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await held(store, make.hold("ses_1"))
            await held(store, make.hold("ses_2"))
            await store.settle(*release(make, "ses_1"), hold=hold.id, session="ses_1")  # its answer streams
            assert (await store.hold(hold.id)).state is HoldState.PENDING
            await store.settle(*denial(make, "ses_2"), hold=hold.id, session="ses_2")
            found = await store.hold(hold.id)
            assert (found.state, found.superseded_by) == (HoldState.SUPERSEDED, "ses_2")
        fine(place, tmp_path)

    run(scenario())


@pytest.mark.postgres
@pytest.mark.parametrize("made", [release, denial])
def test_the_process_that_had_it_settles_nothing_of_what_another_has(
    made: Any, postgres_url: str, make: Any, run: Any, tmp_path: Path
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with (
            place.store(instance="one", signer=KEY) as one,
            place.store(instance="two", signer=KEY) as two,
        ):
            hold = await held(one, make.hold("ses_1"))
            assert (await one.take_up("ses_1", "first")).is_ours
            assert (await two.take_up("ses_1", "second")).is_ours
            before = await two.last_sequence()
            with pytest.raises(Conflict) as refused:
                await one.settle(*made(make, "ses_1"), hold=hold.id, session="ses_1")
            assert (refused.value.code, await two.last_sequence()) == ("taken_up", before)
            assert (await two.hold(hold.id)).state is HoldState.PENDING
            await two.settle(*made(make, "ses_1"), hold=hold.id, session="ses_1")
            assert (await two.hold(hold.id)).state is HoldState.SUPERSEDED
        fine(place, tmp_path)

    run(scenario())


@pytest.mark.parametrize("made", [release, denial])
def test_what_an_operator_has_ended_is_let_through_by_no_rules_and_a_refusal_of_it_is_on_record(
    made: Any, place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    """The order came after the exchange was taken up: its process, which is still judging, has not heard."""

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            hold = await held(store, make.hold("ses_1"))
            assert (await store.take_up("ses_1", "again")).is_ours
            await store.kill(
                "ses_1", EntryDraft(Kind.SESSION_KILLED, "ses_1", payloads={"reason": b"Enough."})
            )
            before = await store.last_sequence()
            if made is release:
                with pytest.raises(Conflict) as refused:
                    await store.settle(*release(make, "ses_1"), hold=hold.id, session="ses_1")
                assert (refused.value.code, await store.last_sequence()) == ("session_killed", before)
            else:
                await store.settle(*denial(make, "ses_1"), hold=hold.id, session="ses_1")
            kinds = [entry.kind for entry in await store.entries("ses_1")]
            assert "request.released" not in kinds
            assert kinds.count("exchange.ended") == (made is denial)
            assert (await store.hold(hold.id)).state is HoldState.KILLED
        fine(place, tmp_path)

    run(scenario())


def test_one_that_is_approved_or_over_stays_as_it_is_and_the_refusal_is_on_record(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            approved = await held(store, make.hold("ses_1"))
            await store.vote(make.ballot(approved), LIMITS)
            overdue = await held(store, make.hold("ses_2", request="two"))
            place.clock.time = overdue.deadline - 1
            await store.vote(make.ballot(await held(store, make.hold("ses_3", request="three"))), LIMITS)
            place.clock.time = overdue.deadline
            for hold, session in ((approved, "ses_1"), (overdue, "ses_2")):
                before = (await store.hold(hold.id)).state
                await store.settle(*denial(make, session), hold=hold.id, session=session)
                assert (await store.hold(hold.id)).state is before
                assert [entry.kind for entry in await store.entries(session)][-1] == "exchange.ended"
            await store.settle(*denial(make, "ses_3"), hold="hld_gone", session="ses_3")
        fine(place, tmp_path)

    run(scenario())


def test_a_damaged_one_is_named_and_keeps_no_refusal_from_the_record(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await held(store, make.hold("ses_1"))
            engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
            with engine.begin() as connection:
                connection.execute(text("UPDATE holds SET detail = '{'"))
            engine.dispose()
            with capture_logs() as logs:
                await store.settle(*denial(make, "ses_1"), hold=hold.id, session="ses_1")
            assert [(log["event"], log["hold"]) for log in logs] == [("hold.damaged", hold.id)]
            assert [entry.kind for entry in await store.entries("ses_1")][-1] == "exchange.ended"

    run(scenario())


def test_what_was_said_of_it_later_does_not_hide_what_ended_it(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await held(store, make.hold("ses_1"))
            await store.settle(*denial(make, "ses_1"), hold=hold.id, session="ses_1")
            said = ActDraft(hold.id, ActKind.COMMENT, RITA, RITA, "Rita", "too late")
            assert (await store.act(said, LIMITS)).superseded_by == "ses_1"

    run(scenario())


@pytest.mark.parametrize("by", ["ses_9", "ses_1"])
def test_an_end_for_what_became_of_nobody_is_named_by_both_verifiers(
    by: str, place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> int:
        async with place.store(signer=KEY) as store:
            hold = await held(store, make.hold("ses_1"))
            data = {"hold": hold.id, "by": by, "state": "pending", "why": "refused"}
            await store.append(EntryDraft(Kind.HOLD_SUPERSEDED, "ses_1", data))
            return int(await store.last_sequence())

    what = "ends a hold for what became of a session, which is not on record"
    last = run(scenario())
    with reading(place.url) as reader:
        found = verify_store(reader, keys=[KEY.vkey], kept=()).wrong
    assert (f"entry {last}", what) in [(wrong.record, wrong.what) for wrong in found]
    assert (f"entry {last}", what) in exported(place, tmp_path / "out", key=KEY)
