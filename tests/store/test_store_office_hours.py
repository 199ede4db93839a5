"""Business hours together with an edit, a withdrawal, an escalation and the proposal of a grant."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.store.places import Place

from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.business_hours import Hours
from authz_service.core.grants import GrantState
from authz_service.core.holds import Approval, Escalation, Stage, StageRef
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldState, HoldSummary
from authz_service.errors import Conflict, Forbidden
from authz_service.store.sql_store import SqlStore

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Hours("Europe/Berlin", (0, 1, 2, 3, 4), 9 * 3600, 17 * 3600)
HOUR = 3600.0
PAIR = Approval("pair", (Stage("true", 2, 2 * HOUR, Escalation("leads", HOUR), hours=OFFICE),))
STEPS = Approval(
    "steps", (Stage("true", 1, 2 * HOUR, hours=OFFICE), Stage("true", 1, 2 * HOUR, hours=OFFICE))
)
FIRST, LATER = StageRef("pair", 0), StageRef("pair", 0, is_escalated=True)
FRIDAY, SATURDAY, SUNDAY, MONDAY = "2027-01-15", "2027-01-16", "2027-01-17", "2027-01-18"


def at(day: str, clock: str) -> float:
    """As clocks in Berlin show it."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=BERLIN).timestamp()


def shown(hold: Any) -> str:
    return datetime.fromtimestamp(hold.deadline, BERLIN).strftime("%a %H:%M")


async def opened(store: SqlStore, make: Any, approval: Approval, **more: Any) -> HoldSummary:
    opening = await store.open_hold(make.hold("s1", approvals=(approval,), **more), make.limits)
    assert isinstance(opening, Opened)
    return opening.hold


def act(hold: HoldSummary, kind: ActKind, who: str, revision: Revision | None = None) -> ActDraft:
    person = ("https://issuer.example", who)
    return ActDraft(hold.id, kind, person, person, who, "because", revision=revision)


def test_an_edit_begins_the_office_hours_anew(place: Place, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place.clock.time = at(FRIDAY, "15:30")
        async with place.store() as store:
            hold = await opened(store, make, PAIR)
            assert shown(hold) == "Mon 10:30"
            await store.vote(make.ballot(hold, "sam", stages=(FIRST,)), make.limits)
            place.clock.time = at(FRIDAY, "16:30")
            revision = Revision(hold.digest, b"edited", {}, (FIRST,))
            edited = await store.act(act(hold, ActKind.EDIT, "rita", revision), make.limits)
            assert shown(edited) == "Mon 11:30"
            place.clock.time = at(MONDAY, "10:29")
            with pytest.raises(Forbidden):  # the leads are asked an hour later than before the edit
                await store.vote(make.ballot(edited, "lea", stages=(LATER,)), make.limits)
            one = await store.vote(make.ballot(edited, "sam", stages=(FIRST,)), make.limits)
            assert one.state is HoldState.PENDING  # what he said before was of other bytes
            place.clock.time = at(MONDAY, "11:29")
            two = await store.vote(make.ballot(edited, "lea", stages=(LATER,)), make.limits)
            assert two.state is HoldState.APPROVED

    run(scenario())


@pytest.mark.parametrize(
    ("when", "state"), [((SATURDAY, "12:00"), "pending"), ((MONDAY, "10:01"), "expired")]
)
def test_a_withdrawal_gives_a_stage_back_the_office_hours_that_it_had(
    place: Place, make: Any, run: Any, when: tuple[str, str], state: str
) -> None:
    async def scenario() -> None:
        place.clock.time = at(FRIDAY, "16:00")
        async with place.store() as store:
            hold = await opened(store, make, STEPS)
            assert shown(hold) == "Mon 10:00"
            place.clock.time = at(FRIDAY, "16:30")
            voted = await store.vote(make.ballot(hold, "rita"), make.limits)
            assert (shown(voted), voted.open_stages) == ("Mon 10:30", (StageRef("steps", 1),))
            place.clock.time = at(*when)
            after = await store.act(act(hold, ActKind.WITHDRAW, "rita"), make.limits)
            assert after.state == state
            if state == "pending":
                assert (shown(after), after.open_stages) == ("Mon 10:00", (StageRef("steps", 0),))

    run(scenario())


def test_nothing_escalates_over_a_weekend(place: Place, make: Any, run: Any) -> None:
    async def scenario() -> None:
        place.clock.time = at(FRIDAY, "16:00")
        async with place.store() as store:
            hold = await opened(store, make, PAIR)
            place.clock.time = at(SUNDAY, "23:00")
            assert await store.expire_overdue() == 0
            with pytest.raises(Forbidden):
                await store.vote(make.ballot(hold, "lea", stages=(LATER,)), make.limits)
            await store.vote(make.ballot(hold, "rita", stages=(FIRST,)), make.limits)
            place.clock.time = at(MONDAY, "10:00")
            assert await store.expire_overdue() == 1
            (escalated,) = [e for e in await store.entries("s1") if e.kind == "hold.escalated"]
            assert escalated.data["due"] == "2027-01-18T09:00:00.000000Z"
            with pytest.raises(Forbidden):
                await store.vote(make.ballot(hold, "sam", stages=(FIRST,)), make.limits)
            done = await store.vote(make.ballot(hold, "lea", stages=(LATER,)), make.limits)
            assert done.state is HoldState.APPROVED

    run(scenario())


@pytest.mark.parametrize("is_in_time", [True, False])
def test_a_grant_is_voted_for_in_the_office_hours_of_its_own_proposal(
    place: Place, make: Any, run: Any, is_in_time: bool
) -> None:
    async def scenario() -> None:
        place.clock.time = at(FRIDAY, "15:00")
        async with place.store() as store:
            hold = await opened(store, make, PAIR, traits=make.traits)
            place.clock.time = at(FRIDAY, "16:30")
            terms = make.terms(approvals=(PAIR,), until=int(at(MONDAY, "17:00")))
            by = make.maker("rita", stages=(FIRST,))
            made = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by)
            assert (made.state, shown(made)) == (GrantState.PROPOSED, "Mon 11:30")
            for who in ("sam", "tom"):  # or the hold, of which it is made, would expire first
                await store.vote(make.ballot(hold, who, stages=(FIRST,)), make.limits)
            released = [make.released("s1", b"the request")]
            assert await store.consume(hold.id, digest=hold.digest, session="s1", entries=released)
            lead = make.maker("lea", stages=(LATER,))
            place.clock.time = at(SUNDAY, "12:00")
            with pytest.raises(Forbidden):
                await store.approve_grant(made.id, digest=made.digest, by=lead)
            if is_in_time:
                sam = make.maker("sam", stages=(FIRST,))
                made = await store.approve_grant(made.id, digest=made.digest, by=sam)
                assert made.state is GrantState.ACTIVE
                return
            place.clock.time = at(MONDAY, "11:30")
            with pytest.raises(Conflict) as refused:
                await store.approve_grant(made.id, digest=made.digest, by=lead)
            assert refused.value.code == "grant_expired"

    run(scenario())
