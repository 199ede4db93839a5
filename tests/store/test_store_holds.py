"""Holds on both databases: opening, attaching, votes, the one release."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from authz_service.audit.entry import decode
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.ports import (
    AlreadyRejected,
    Attached,
    HoldDraft,
    HoldLimits,
    HoldQuery,
    HoldState,
    HoldSummary,
    Opened,
    TooManyHolds,
)
from authz_service.errors import Conflict, Forbidden, NotFound
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits()


async def opened(store: SqlStore, draft: HoldDraft, limits: HoldLimits = LIMITS) -> HoldSummary:
    opening = await store.open_hold(draft, limits)
    assert isinstance(opening, Opened)
    return opening.hold


async def kinds(store: SqlStore, session: str) -> list[str]:
    return [entry.kind for entry in await store.entries(session)]


def test_a_hold_opens_with_its_entries_and_reads_back_as_it_was_answered(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            caller = make.caller(claims={"nul": "\x00", "n": 2**70, "f": 1.5})
            draft = replace(
                make.hold("s1", caller=caller), findings={"EMAIL_ADDRESS": 2}, reason="nul \x00 \ud83d"
            )
            hold = await opened(store, draft)
            assert (await store.summaries([hold.id]))[hold.id] == hold
            assert hold.state is HoldState.PENDING
            assert hold.deadline == place.clock.time + 1800
            assert hold.open_stages == (StageRef("security", 0),)
            assert (hold.caller, hold.size, hold.findings) == (
                caller,
                len(draft.forward),
                {"EMAIL_ADDRESS": 2},
            )
            whole = await store.hold(hold.id)
            assert whole is not None
            assert whole.forward == draft.forward
            assert await kinds(store, "s1") == ["request.received", "request.decided", "hold.opened"]
            last = (await store.entries("s1"))[-1]
            assert last.payloads["forward"] == draft.forward
            assert "digest" not in last.data
            session = await store.session("s1")
            assert session is not None
            assert (session.status, session.hold, session.decision) == ("held", hold.id, "hold")

    run(scenario())


def test_the_same_request_of_the_same_person_attaches_also_after_a_restart(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
        async with place.store() as store:
            attached = await store.open_hold(make.hold("s2"), make.limits)
            assert attached == Attached(hold)
            assert await kinds(store, "s2") == ["request.received", "request.decided", "hold.attached"]
            session = await store.session("s2")
            assert session is not None
            assert session.hold == hold.id
            await opened(store, make.hold("s3", caller=make.caller("bob")))
            await opened(store, make.hold("s4", request="another"))

    run(scenario())


def test_two_accounts_of_one_person_attach_to_one_hold(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(caller=make.caller("alice", person="a@example.com")))
            same = await store.open_hold(
                make.hold(caller=make.caller("alice-2", person="a@example.com")), make.limits
            )
            assert same == Attached(hold)
            page = await store.holds(HoldQuery(caller="a@example.com"))
            assert [h.id for h in page.items] == [hold.id]

    run(scenario())


def test_twenty_identical_requests_at_once_open_one_hold(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            openings = await asyncio.gather(*(store.open_hold(make.hold(), make.limits) for _ in range(20)))
            assert [type(o) for o in openings].count(Opened) == 1
            assert [type(o) for o in openings].count(Attached) == 19
            assert len({o.hold.id for o in openings if isinstance(o, Opened | Attached)}) == 1

    run(scenario())


def test_a_request_with_other_noise_attaches_and_the_first_bytes_stay(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(forward=b"nonce 1"))
            noisy = [replace(make.hold(forward=f), changes=hold.changes) for f in (b"nonce 2", b"nonce 3")]
            assert await store.open_hold(noisy[0], make.limits) == Attached(hold)
            await store.vote(make.ballot(hold), make.limits)
            again = await store.open_hold(noisy[1], make.limits)
            assert isinstance(again, Attached)
            assert again.hold.state is HoldState.APPROVED
            assert await store.held_bytes([hold.id]) == {hold.id: b"nonce 1"}

    run(scenario())


def test_a_new_hold_shows_the_last_one_of_the_same_request(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await opened(store, make.hold())
            await store.vote(make.ballot(first), make.limits)
            released = (make.received("s1"), make.released("s1"))
            assert await store.consume(first.id, digest=first.digest, session="s1", entries=released)
            second = await opened(store, make.hold())
            assert second.previous == first.id
            place.clock.time += 1800
            assert (await opened(store, make.hold())).previous == second.id

    run(scenario())


@pytest.mark.parametrize("approved", [False, True])
def test_other_bytes_or_other_approvals_supersede_and_link_to_the_old_hold(
    place: Any, make: Any, run: Any, approved: bool
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            first = await opened(store, make.hold("s1"))
            if approved:
                await store.vote(make.ballot(first), make.limits)
            second = await opened(store, make.hold(forward=b"masked otherwise"))
            assert second.previous == first.id
            stricter = (Approval("security", (Stage("true", 2, 1800.0),)),)
            third = await opened(store, make.hold(forward=b"masked otherwise", approvals=stricter))
            assert third.previous == second.id
            for old in (first, second):
                now = await store.hold(old.id)
                assert now is not None
                assert now.state is HoldState.SUPERSEDED
                assert not await store.consume(
                    old.id, digest=old.digest, session="x", entries=[make.released("x")]
                )
            with pytest.raises(Conflict, match="superseded") as error:
                await store.vote(make.ballot(first), make.limits)
            assert error.value.code == "hold_superseded"

    run(scenario())


def test_a_rejection_answers_the_same_request_for_a_while_then_a_new_hold_opens(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            rejected = await store.vote(make.ballot(hold, verdict=Verdict.REJECT), make.limits)
            assert rejected.state is HoldState.REJECTED
            place.clock.time += 599.999999
            again = await store.open_hold(make.hold("s2"), make.limits)
            assert isinstance(again, AlreadyRejected)
            assert (again.hold.votes[0].reason, again.hold.votes[0].name) == ("looked at it", "Rita")
            assert await kinds(store, "s2") == ["request.received", "request.decided"]
            place.clock.time += 0.000001
            await opened(store, make.hold())

    run(scenario())


def test_a_person_has_no_more_pending_holds_than_allowed(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        limits = HoldLimits(pending_per_caller=2)
        async with place.store() as store:
            first = await opened(store, make.hold(request="1"), limits)
            await opened(store, make.hold(request="2"), limits)
            assert await store.open_hold(make.hold("s3", request="3"), limits) == TooManyHolds(2)
            assert await kinds(store, "s3") == ["request.received", "request.decided"]
            await opened(store, make.hold(request="1", forward=b"instead of the first"), limits)
            await opened(store, make.hold(caller=make.caller("bob")), limits)
            assert first.id
            place.clock.time += 1800
            await opened(store, make.hold(request="4"), limits)  # the others are overdue, unswept

    run(scenario())


def test_a_vote_that_completes_approves_and_everything_is_on_record(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            place.clock.time += 5
            approved = await store.vote(make.ballot(hold), make.limits)
            assert (approved.state, approved.deadline) == (HoldState.APPROVED, place.clock.time + 900)
            assert approved == (await store.summaries([hold.id]))[hold.id]
            entries = (await store.entries("s1"))[-2:]
            assert [entry.kind for entry in entries] == ["hold.voted", "hold.approved"]
            assert entries[0].data["verdict"] == "approve"
            held = decode((await store.entries("s1"))[-3].body).payloads["forward"]
            assert entries[0].data["digest"] == entries[1].data["digest"] == held.digest.hex()
            assert not any(hold.digest.encode() in entry.body for entry in await store.entries("s1"))
            assert not any(hold.fingerprint.encode() in entry.body for entry in await store.entries("s1"))
            assert entries[0].payloads["reason"] == b"looked at it"
            assert b"rita" in entries[0].payloads["voter"]
            assert b"rita" not in entries[0].body.lower()
            released = [make.released("s1", b"the request")]
            assert await store.consume(hold.id, digest=hold.digest, session="s1", entries=released)
            done = await store.hold(hold.id)
            assert done is not None
            assert (done.state, done.released_to) == (HoldState.RELEASED, "s1")
            await opened(store, make.hold("s2"))

    run(scenario())


def test_a_quorum_needs_distinct_people_and_stages_take_their_turn(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        approval = Approval("big", (Stage("true", 2, 60.0), Stage("true", 1, 600.0)))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(approval,)))
            once = await store.vote(make.ballot(hold, "rita"), make.limits)
            assert once.state is HoldState.PENDING
            with pytest.raises(Conflict) as error:
                await store.vote(make.ballot(hold, "rita"), make.limits)
            assert error.value.code == "already_voted"
            twice = await store.vote(make.ballot(hold, "sam"), make.limits)
            assert (twice.state, twice.open_stages) == (HoldState.PENDING, (StageRef("big", 1),))
            assert twice.deadline == place.clock.time + 600
            # A vote of the first stage does not count for the second, which was not open then.
            done = await store.vote(make.ballot(hold, "rita"), make.limits)
            assert done.state is HoldState.APPROVED

    run(scenario())


def test_one_account_is_one_person_with_and_without_its_person_claim(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        approval = Approval("two", (Stage("true", 2, 60.0),))
        async with place.store() as store:
            hold = await opened(store, make.hold(approvals=(approval,)))
            await store.vote(make.ballot(hold, "rita"), make.limits)
            disguised = make.ballot(
                hold, person=("person", "rita@example.com"), account=("https://issuer.example", "rita")
            )
            with pytest.raises(Conflict):
                await store.vote(disguised, make.limits)

    run(scenario())


@pytest.mark.parametrize(
    "ballot",
    [
        {"voter": "alice"},
        {"person": ("person", "alice@example.com"), "account": ("https://issuer.example", "alice-2")},
        {"person": ("person", "other@example.com"), "account": ("https://issuer.example", "alice")},
    ],
)
def test_the_requester_never_votes_whatever_the_token_says(
    place: Any, make: Any, run: Any, ballot: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(caller=make.caller("alice", person="alice@example.com")))
            with pytest.raises(Forbidden) as error:
                await store.vote(make.ballot(hold, **ballot), make.limits)
            assert error.value.code == "own_request"
            assert (await store.summaries([hold.id]))[hold.id] == hold

    run(scenario())


@pytest.mark.parametrize("owner", ["Rita@Example.com", ["tom", "rita@example.com"], "rita", " RITA "])
@pytest.mark.parametrize("issuer", ["https://issuer.example", "https://elsewhere.example"])
def test_whoever_answers_for_a_service_account_never_votes_however_the_name_is_written(
    place: Any, make: Any, run: Any, owner: Any, issuer: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold(caller=make.caller("robot", claims={"owner": owner})))
            rita = make.ballot(hold, person=("person", "rita@example.com"), account=(issuer, "rita"))
            with pytest.raises(Forbidden) as error:
                await store.vote(rita, make.limits)
            assert error.value.code == "own_request"

    run(scenario())


def test_a_vote_is_refused_for_other_bytes_other_stages_and_unknown_holds(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            with pytest.raises(Conflict) as changed:
                await store.vote(make.ballot(hold, digest="0" * 64), make.limits)
            assert changed.value.code == "digest_changed"
            for stages in ((), (StageRef("security", 1),), (StageRef("other", 0),)):
                with pytest.raises(Forbidden):
                    await store.vote(make.ballot(hold, stages=stages), make.limits)
            with pytest.raises(NotFound):
                await store.vote(replace(make.ballot(hold), hold="none"), make.limits)
            assert (await store.summaries([hold.id]))[hold.id] == hold

    run(scenario())


def test_the_same_ballot_again_is_one_vote_and_its_key_is_good_for_no_other(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            first = await store.vote(make.ballot(hold, key="k"), make.limits)
            again = await store.vote(make.ballot(hold, key="k"), make.limits)
            assert first == again
            assert (await kinds(store, "s1")).count("hold.voted") == 1
            with pytest.raises(Conflict) as error:
                await store.vote(make.ballot(hold, key="k", verdict=Verdict.REJECT), make.limits)
            assert error.value.code == "idempotency_key_reused"

    run(scenario())


def test_of_two_reviewers_one_wins_and_the_other_is_told_who_decided_what(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            for attempt in range(5):
                hold = await opened(store, make.hold(request=f"{attempt}"))
                ballots = [
                    make.ballot(hold, f"reviewer-{i}", Verdict.APPROVE if i % 2 else Verdict.REJECT)
                    for i in range(12)
                ]
                said = await asyncio.gather(
                    *(store.vote(b, make.limits) for b in ballots), return_exceptions=True
                )
                winners = [b for b, s in zip(ballots, said, strict=True) if isinstance(s, HoldSummary)]
                losers = [s for s in said if isinstance(s, Conflict)]
                assert (len(winners), len(losers)) == (1, 11)
                assert all(winners[0].name in str(loser) for loser in losers)
                expected = "hold_rejected" if winners[0].verdict is Verdict.REJECT else "hold_approved"
                assert {loser.code for loser in losers} == {expected}

    run(scenario())


def test_of_twenty_exchanges_that_consume_an_approval_one_is_released(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold())
            await store.vote(make.ballot(hold), make.limits)

            async def consume(session: str) -> bool:
                return bool(
                    await store.consume(
                        hold.id, digest=hold.digest, session=session, entries=[make.released(session)]
                    )
                )

            won = await asyncio.gather(*(consume(f"x{i}") for i in range(20)))
            assert won.count(True) == 1
            recorded = [f"x{i}" for i in range(20) if await store.entries(f"x{i}")]
            assert recorded == [f"x{won.index(True)}"]

    run(scenario())


def test_nothing_is_released_that_is_pending_rejected_altered_or_late(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:

            async def consumes(hold: HoldSummary, digest: str) -> bool:
                entries = [make.released("x")]
                return bool(await store.consume(hold.id, digest=digest, session="x", entries=entries))

            hold = await opened(store, make.hold())
            assert not await consumes(hold, hold.digest)
            await store.vote(make.ballot(hold), make.limits)
            assert not await consumes(hold, "0" * 64)
            with pytest.raises(ValueError, match="on record"):
                await store.consume(hold.id, digest=hold.digest, session="x", entries=[])
            place.clock.time += 900
            assert not await consumes(hold, hold.digest)
            other = await opened(store, make.hold(request="other"))
            await store.vote(make.ballot(other, verdict=Verdict.REJECT), make.limits)
            assert not await consumes(other, other.digest)
            assert not await store.consume("none", digest="", session="x", entries=[make.released("x")])
            assert await store.entries("x") == []

    run(scenario())


def test_an_overdue_hold_is_expired_for_everybody_before_any_sweep(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make.hold("s1"))
            place.clock.time += 1800
            now = await store.hold(hold.id)
            assert now is not None
            assert now.state is HoldState.EXPIRED
            with pytest.raises(Conflict, match=r"expired at 2027-01-15T08:30:00\.000000Z") as error:
                await store.vote(make.ballot(hold), make.limits)
            assert error.value.code == "hold_expired"
            assert [h.id for h in (await store.holds(HoldQuery(states=(HoldState.EXPIRED,)))).items] == [
                hold.id
            ]
            assert (await store.holds(HoldQuery(states=(HoldState.PENDING,)))).items == ()
            place.clock.time -= 1000  # a clock that went back revives nothing
            with pytest.raises(Conflict):
                await store.vote(make.ballot(hold), make.limits)
            assert await store.expire_overdue() == 1
            assert await store.expire_overdue() == 0
            assert (await kinds(store, "s1"))[-1] == "hold.expired"
        async with place.store() as store:
            assert await store.now() == place.clock.time + 1000
            await opened(store, make.hold())

    run(scenario())


def test_a_sweep_ends_more_holds_than_fit_one_transaction(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            limits = HoldLimits(pending_per_caller=1000)
            await asyncio.gather(*(store.open_hold(make.hold(request=f"{i}"), limits) for i in range(300)))
            place.clock.time += 1800
            assert await store.expire_overdue() == 300

    run(scenario())


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


@pytest.mark.postgres
def test_two_replicas_agree_on_one_hold_one_decision_and_one_release(
    postgres_url: str, make: Any, run: Any
) -> None:
    place = make.place(postgres_url)

    async def scenario() -> None:
        async with place.store(instance="one") as one, place.store(instance="two") as two:
            stores = (one, two) * 8
            openings = await asyncio.gather(*(s.open_hold(make.hold(), make.limits) for s in stores))
            assert [type(o) for o in openings].count(Opened) == 1
            hold = openings[0].hold
            ballots = [make.ballot(hold, f"reviewer-{i}") for i in range(16)]
            said = await asyncio.gather(
                *(s.vote(b, make.limits) for s, b in zip(stores, ballots, strict=True)),
                return_exceptions=True,
            )
            assert [type(s) for s in said].count(HoldSummary) == 1
            assert [type(s) for s in said].count(Conflict) == 15
            released = await asyncio.gather(
                *(
                    s.consume(hold.id, digest=hold.digest, session=f"x{i}", entries=[make.released(f"x{i}")])
                    for i, s in enumerate(stores)
                )
            )
            assert released.count(True) == 1
        async with place.store() as again:
            assert await again.session("none") is None

    run(scenario())
