"""A hold whose row cannot be read is said to be damaged: it is no fault of the service's, and no other's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.acting import alone
from tests.store.damaged_holds import LIMITS, ONE, change, code_of, opened, spoil
from tests.store.edits import edit
from tests.store.places import Place

from authz_service.core.acts import ActDraft, ActKind, AnswerHead
from authz_service.core.holds import Approval, Escalation, Stage
from authz_service.core.openings import AnswerWanted, Opened
from authz_service.core.ports import DAMAGED
from authz_service.core.stored_holds import HoldQuery, HoldState, HoldSummary
from authz_service.errors import AuthzError, Unavailable
from authz_service.framing.headers import EDITED_HEADER
from authz_service.store import sweeping

TURNS = Approval("turns", (Stage("true", 1, 60.0, Escalation("true", 600.0)),))
NESTED = "[" * 100_000


@pytest.mark.parametrize("detail", ["{", "{}", "[]", "5", NESTED], ids=["{", "{}", "[]", "5", "nested"])
def test_a_row_that_cannot_be_read_is_damaged(detail: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            names = [(await opened(store, make, request)).id for request in ("one", "another")]
            spoil(place, names[0], detail)
            for wanted in (names, names[:1]):
                assert await code_of(store.holds_now(wanted)) == DAMAGED
                found = (await store.summaries(wanted))[names[0]]
                assert isinstance(found, Unavailable)
                assert found.code == DAMAGED
            assert await code_of(store.hold(names[0])) == DAMAGED
            assert [one.id for one in (await store.holds_now(names[1:])).holds.values()] == names[1:]
            assert isinstance((await store.summaries(names))[names[1]], HoldSummary)

    run(scenario())


@pytest.mark.parametrize("terms", [{"hours": ["x"]}, {"escalate": ["x"]}], ids=str)
def test_so_is_one_whose_stages_have_other_terms(
    terms: dict[str, Any], place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            detail = json.loads(read(place, hold.id))
            detail["approvals"][0]["stages"][0] = ["true", 1, 600.0, terms]
            spoil(place, hold.id, json.dumps(detail))
            assert await code_of(store.holds_now([hold.id])) == DAMAGED
            assert isinstance((await store.summaries([hold.id]))[hold.id], Unavailable)

    run(scenario())


def test_a_list_has_the_others_and_names_it(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            damaged, other = [await opened(store, make, request) for request in ("one", "another")]
            spoil(place, damaged.id, "{")
            page = await store.holds(HoldQuery())
            assert ([hold.id for hold in page.items], page.damaged) == ([other.id], (damaged.id,))

    run(scenario())


def test_a_sweep_takes_the_turns_of_the_others_and_names_it_once(
    place: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the service, and again after each start."""
    monkeypatch.setattr(sweeping, "SWEPT_AT_ONCE", 2)

    async def scenario() -> None:
        async with place.store() as store:
            damaged = [await opened(store, make, f"damaged {number}", TURNS) for number in range(3)]
            good = await opened(store, make, "good", TURNS)
            for hold, detail in zip(damaged, ("{", "{}", NESTED), strict=True):
                spoil(place, hold.id, detail)
            place.clock.time += 61
            with capture_logs() as logs:
                assert await store.expire_overdue() == 1
                assert await store.expire_overdue() == 0
            assert "hold.escalated" in [entry.kind for entry in await store.entries(good.session)]
            named = sorted(log["hold"] for log in logs if log["event"] == "hold.damaged")
            assert named == sorted(hold.id for hold in damaged)
            place.clock.time += 1200
            assert await store.expire_overdue() == 4
            assert set((await store.hold_states([hold.id for hold in damaged])).values()) == {
                HoldState.EXPIRED
            }

    run(scenario())


@pytest.mark.parametrize("is_itself", [True, False])
def test_one_that_came_after_itself_or_after_none_takes_no_vote_and_stops_nobody(
    is_itself: bool, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            head = AnswerHead(200, {EDITED_HEADER: "true"})
            opening = await store.open_hold(replace(make.hold("s1"), answer=head), LIMITS)
            assert isinstance(opening, Opened)
            damaged = opening.hold
            good = await opened(store, make, "another")
            detail = json.loads(read(place, damaged.id))
            detail["previous"] = damaged.id if is_itself else "hold_of_nobody"
            spoil(place, damaged.id, json.dumps(detail))
            assert await code_of(store.vote(make.ballot(damaged), LIMITS)) == DAMAGED
            await store.vote(make.ballot(good), LIMITS)
            assert (await store.hold(good.id)).state is HoldState.APPROVED

    run(scenario())


@pytest.mark.parametrize("deadline", [-(10**18), 10**18])
def test_times_that_nobody_could_tell_keep_no_other_from_ending_or_being_listed(
    deadline: int, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            damaged, good = [await opened(store, make, request) for request in ("one", "another")]
            change(place, f"UPDATE holds SET deadline = {deadline} WHERE id = :id", id=damaged.id)
            assert (await store.holds(HoldQuery())).damaged == (damaged.id,)
            place.clock.time += 601
            assert await store.expire_overdue() == 1
            assert [entry.kind for entry in await store.entries(good.session)][-1] == "hold.expired"

    run(scenario())


def test_so_it_does_beside_one_whose_turn_is_none_of_its_stages(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            altered, good = [await opened(store, make, request, TURNS) for request in ("one", "another")]
            change(place, "UPDATE holds SET turn_at = turn_at + 5 WHERE id = :id", id=altered.id)
            place.clock.time += 70
            with capture_logs() as logs:
                assert await store.expire_overdue() == 1
            assert [(log["event"], log["hold"]) for log in logs] == [("hold.damaged", altered.id)]
            assert "hold.escalated" in [entry.kind for entry in await store.entries(good.session)]
            assert await code_of(store.vote(alone(make.ballot(altered)), LIMITS)) == DAMAGED

    run(scenario())


@pytest.mark.parametrize("spoilt", ["holds", "votes", "hold_acts"])
@pytest.mark.parametrize("is_alone", [False, True], ids=["vote", "break glass"])
def test_votes_count_beside_one_that_is_refused(
    is_alone: bool, spoilt: str, place: Any, make: Any, run: Any
) -> None:
    """Of many that are decided at once, a refused one keeps no other from counting."""

    async def scenario() -> None:
        async with place.store() as store:
            two = Approval("two", (Stage("true", 2, 600.0),))
            bad, good = [await opened(store, make, request, two) for request in ("one", "another")]
            await store.vote(make.ballot(bad, "sam"), LIMITS)
            await store.act(comment(bad), LIMITS)
            key = "id" if spoilt == "holds" else "hold"
            change(place, f"UPDATE {spoilt} SET detail = '{{}}' WHERE {key} = :id", id=bad.id)
            before = await store.last_sequence()
            ballots = [make.ballot(hold, "rita") for hold in (bad, good)]
            if is_alone:
                ballots = [alone(ballot) for ballot in ballots]
            refused, counted = await store.vote_all(ballots, LIMITS)
            assert isinstance(refused, AuthzError)
            assert refused.code == DAMAGED
            assert isinstance(counted, HoldSummary)
            assert len(counted.votes) == 1
            assert {entry.session for entry in await store.entries_after(before, "")} == {good.session}

    run(scenario())


@pytest.mark.parametrize("kind", [ActKind.CLAIM, ActKind.COMMENT, ActKind.WITHDRAW, ActKind.EDIT])
def test_nothing_is_done_to_it(kind: ActKind, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            await store.vote(make.ballot(hold, "sam"), LIMITS)
            spoil(place, hold.id, "{}")
            before = await store.last_sequence()
            draft = edit(hold) if kind is ActKind.EDIT else comment(hold, kind)
            assert await code_of(store.act(draft, LIMITS)) == DAMAGED
            assert await store.last_sequence() == before

    run(scenario())


def test_it_is_released_to_nobody(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            await store.vote(make.ballot(hold), LIMITS)
            spoil(place, hold.id, "{}")
            entries = [make.released(hold.session, b"the request")]
            used = store.consume(hold.id, digest=hold.digest, session=hold.session, entries=entries)
            assert await code_of(used) == DAMAGED
            assert (await store.hold_states([hold.id]))[hold.id] is HoldState.APPROVED

    run(scenario())


def test_the_same_request_is_refused_while_it_is_open_and_waits_anew_afterwards(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            spoil(place, hold.id, "{}")
            again = make.hold(approvals=(ONE,))
            assert await code_of(store.open_hold(again, LIMITS)) == DAMAGED
            place.clock.time += 601
            assert isinstance(await store.open_hold(again, LIMITS), Opened)

    run(scenario())


def test_so_it_is_where_the_state_is_none(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            change(place, "UPDATE holds SET state = 'forgotten' WHERE id = :id", id=hold.id)
            again = make.hold(approvals=(ONE,))
            wanted = AnswerWanted("s2", again.caller, again.fingerprint, again.changes, ())
            assert await code_of(store.open_hold(again, LIMITS)) == DAMAGED
            assert await code_of(store.attach_answer(wanted)) == DAMAGED
            place.clock.time += 601
            assert await store.attach_answer(wanted) is None
            assert isinstance(await store.open_hold(again, LIMITS), Opened)

    run(scenario())


def test_it_waits_anew_at_once_where_the_deadline_is_none(place: Any, make: Any, run: Any) -> None:
    """Nothing is released by such a hold, and no time is to come at which it would end."""

    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            await store.vote(make.ballot(hold), LIMITS)
            change(place, f"UPDATE holds SET deadline = {2**62} WHERE id = :id", id=hold.id)
            again = make.hold(approvals=(ONE,))
            wanted = AnswerWanted("s2", again.caller, again.fingerprint, again.changes, ())
            assert await store.attach_answer(wanted) is None
            assert isinstance(await store.open_hold(again, LIMITS), Opened)
            assert (await store.hold_states([hold.id]))[hold.id] is HoldState.SUPERSEDED

    run(scenario())


COLUMNS = ["deadline", "forward"]


@pytest.mark.parametrize("column", COLUMNS)
def test_so_it_does_in_the_end_where_sqlite_has_a_text_in_its_place(
    column: str, sqlite_url: str, make: Any, run: Any
) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            await store.vote(make.ballot(hold), LIMITS)
            change(place, f"UPDATE holds SET {column} = 'a text' WHERE id = :id", id=hold.id)
            assert await code_of(store.holds_now([hold.id])) == DAMAGED
            place.clock.time += 100_000
            assert isinstance(await store.open_hold(make.hold(approvals=(ONE,)), LIMITS), Opened)
            assert (await store.hold_states([hold.id]))[hold.id] is HoldState.SUPERSEDED

    run(scenario())


def test_nor_is_it_released_with_a_deadline_that_is_a_text(sqlite_url: str, make: Any, run: Any) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            await store.vote(make.ballot(hold), LIMITS)
            change(place, "UPDATE holds SET deadline = 'a text' WHERE id = :id", id=hold.id)
            entries = [make.released(hold.session, b"the request")]
            used = store.consume(hold.id, digest=hold.digest, session=hold.session, entries=entries)
            assert await code_of(used) == DAMAGED

    run(scenario())


@pytest.mark.parametrize("column", COLUMNS)
def test_votes_count_beside_one_in_which_sqlite_has_a_text_in_its_place(
    column: str, sqlite_url: str, make: Any, run: Any
) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            bad, good = [await opened(store, make, request) for request in ("one", "another")]
            change(place, f"UPDATE holds SET {column} = 'a text' WHERE id = :id", id=bad.id)
            refused, cast = await store.vote_all([make.ballot(bad), make.ballot(good)], LIMITS)
            assert isinstance(refused, Unavailable)
            assert isinstance(cast, HoldSummary)
            assert (refused.code, cast.state) == (DAMAGED, HoldState.APPROVED)
            assert (await store.holds(HoldQuery())).damaged == (bad.id,)

    run(scenario())


def test_the_hold_of_an_answer_that_is_over_is_not_read(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            draft = make.hold("s1")
            hold = (await store.open_hold(draft, LIMITS)).hold
            spoil(place, hold.id, "{")
            wanted = AnswerWanted("s2", draft.caller, draft.fingerprint, draft.changes, ())
            assert await code_of(store.attach_answer(wanted)) == DAMAGED
            place.clock.time += 100_000
            await store.expire_overdue()
            assert await store.attach_answer(wanted) is None

    run(scenario())


def test_a_state_that_there_is_not_keeps_no_change_of_another_from_being_told(
    place: Any, make: Any, run: Any
) -> None:
    """Whoever waits in this process follows the changes; what they could not read ended it."""

    async def scenario() -> None:
        async with place.store() as store:
            bad, good = [await opened(store, make, request) for request in ("one", "another")]
            change(place, "UPDATE holds SET state = 'forgotten' WHERE id = :id", id=bad.id)
            assert [told.hold for told in await store.hold_changes(0)] == [good.id]
            assert await store.hold_states([bad.id, good.id]) == {good.id: HoldState.PENDING}
            assert (await store.holds(HoldQuery())).damaged == (bad.id,)

    run(scenario())


def comment(hold: HoldSummary, kind: ActKind = ActKind.COMMENT) -> ActDraft:
    sam = ("https://issuer.example", "sam")
    return ActDraft(hold.id, kind, sam, sam, "Sam", "why")


def read(place: Any, hold: str) -> str:
    found: list[str] = []
    change(place, "SELECT detail FROM holds WHERE id = :id", found.append, id=hold)
    return found[0]


@pytest.mark.parametrize("number", ["1000000000", "-1"])
def test_a_change_by_an_entry_that_there_is_not_hides_none_that_comes_after(
    place: Any, make: Any, run: Any, number: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold, other = await opened(store, make), await opened(store, make, "another")
            change(place, f"UPDATE holds SET changed = {number} WHERE id = :id", id=hold.id)
            (told,) = await store.hold_changes(0)
            assert told.hold == other.id
            await store.vote(make.ballot(other), make.limits)
            assert [told.hold for told in await store.hold_changes(told.cursor)] == [other.id]

    run(scenario())
