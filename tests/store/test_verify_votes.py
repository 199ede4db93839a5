"""Decisions that do not follow from votes on record are named, whatever rows and signatures say."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.store.conftest import pseudonym_of
from tests.store.test_verify_store import KEY as FILLED_BY
from tests.store.test_verify_store import fill

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.commands import verify_export
from authz_service.commands.audit_export import Wanted, export
from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.holds import Approval, Stage, StageRef
from authz_service.core.ports import Hold, HoldLimits
from authz_service.core.used_once import once
from authz_service.framing.headers import MARKS
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
LIMITS = HoldLimits()
ISSUER = "https://issuer.example"
TWO = Approval("two", (Stage("true", 2, 900.0),))
LATER = "2027-01-15T09:00:00.000000Z"


class Forger:
    """Records what no transaction of ours would, with the log's own key."""

    def __init__(self, place: Any, make: Any, store: Any) -> None:
        self.place, self.make, self.store = place, make, store
        self.hold: Hold
        self.digest = ""

    async def opened(self, *, approval: Approval | None = None, session: str = "s1") -> None:
        approvals = () if approval is None else (approval,)
        draft = self.make.hold(session, approvals=approvals, traits=self.make.traits)
        self.hold = (await self.store.open_hold(draft, LIMITS)).hold
        body = json.loads((await self.store.entries(session))[-1].body)
        self.digest = body["payloads"]["forward"]["digest"]

    async def vote(
        self,
        who: str,
        *,
        account: str = "",
        stage: str = "security/0",
        vote: str = "",
        owner: str = "",
        typed: str = "",
    ) -> None:
        voter = {"voter": [ISSUER, who], "account": [ISSUER, account or who], "name": who}
        data: dict[str, Any] = {
            "hold": self.hold.id,
            "vote": vote or f"vote of {who}",
            "verdict": "approve",
            "digest": self.digest,
            "voter": pseudonym_of((ISSUER, who)),
            "stages": [stage],
            "key": None,
            **({"owners": [pseudonym_of((ISSUER, owner))]} if owner else {}),
            **({"owners": [pseudonym_of(("owner", typed))]} if typed else {}),
        }
        await self.record(Kind.HOLD_VOTED, data, {"voter": json.dumps(voter).encode()})

    async def decide(self, kind: Kind = Kind.HOLD_APPROVED) -> None:
        await self.record(kind, {"hold": self.hold.id, "digest": self.digest, "deadline": LATER})

    async def release(self, body: bytes = b"the request") -> None:
        await self.record(Kind.REQUEST_RELEASED, {"hold": self.hold.id}, {"body": body})

    async def edit(self, who: str) -> None:
        identity = (ISSUER, who)
        stages = (StageRef("security", 0),)
        revision = Revision(self.hold.digest, b"changed", {}, stages, b"[]", None)
        act = ActDraft(self.hold.id, ActKind.EDIT, identity, identity, who, "better", "", revision)
        await self.store.act(act, LIMITS)
        self.hold = await self.store.hold(self.hold.id)
        body = json.loads((await self.store.entries(self.hold.session))[-1].body)
        self.digest = body["payloads"]["forward"]["digest"]

    async def proposed(self, approval: Approval, by: str = "rita") -> str:
        await self.opened(approval=approval)
        terms = self.make.terms(approvals=(approval,), until=int(self.place.clock.time) + 900)
        maker = self.make.maker(by, approvals=(approval,))
        made = await self.store.propose_grant(self.hold.id, terms=terms, shown=self.hold.digest, by=maker)
        return str(made.id)

    async def record(
        self, kind: Kind, data: dict[str, Any], payloads: dict[str, bytes] | None = None
    ) -> None:
        await self.store.append(EntryDraft(kind, self.hold.session, data, payloads or {}))


async def without_votes(forger: Forger) -> str:
    await forger.opened()
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_too_few(forger: Forger) -> str:
    await forger.opened(approval=TWO)
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_two_of_one_voter(forger: Forger) -> str:
    await forger.opened(approval=TWO)
    await forger.vote("rita", stage="two/0", vote="one")
    await forger.vote("rita", stage="two/0", vote="two")
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_two_names_of_one_account(forger: Forger) -> str:
    await forger.opened(approval=TWO)
    await forger.vote("rita", account="shared", stage="two/0")
    await forger.vote("rob", account="shared", stage="two/0")
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_a_service_and_its_owner(forger: Forger) -> str:
    await forger.opened(approval=TWO)
    await forger.vote("rita", stage="two/0")
    await forger.vote("robot", owner="rita", stage="two/0")
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_a_service_and_its_owner_typed_otherwise(forger: Forger) -> str:
    await forger.opened(approval=TWO)
    await forger.store.vote(forger.make.ballot(forger.hold, "RITA"), LIMITS)
    await forger.vote("robot", typed="rita", stage="two/0")
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def edited_by_its_owner_typed_otherwise(forger: Forger) -> str:
    await forger.opened()
    await forger.edit("EVE")
    await forger.vote("robot", typed="eve")
    return "approves what the same person edited or answered"


async def with_votes_for_another_stage(forger: Forger) -> str:
    await forger.opened()
    await forger.vote("rita", stage="security/1")
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_a_vote_that_was_taken_back(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    rita = (ISSUER, "rita")
    taken = ActDraft(forger.hold.id, ActKind.WITHDRAW, rita, rita, "Rita", "too fast", "")
    await forger.store.act(taken, LIMITS)
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_votes_from_before_an_edit(forger: Forger) -> str:
    await forger.opened(approval=Approval("security", (Stage("true", 2, 900.0),)))
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    await forger.edit("eve")
    await forger.store.vote(forger.make.ballot(forger.hold, "rob"), LIMITS)
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def with_a_vote_that_came_too_late(forger: Forger) -> str:
    await forger.opened()
    forger.place.clock.time += 3600
    await forger.vote("rita")
    await forger.decide()
    return "approves a hold that has not the votes for it"


async def twice(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    await forger.decide()
    return "decides on a hold that was decided before"


async def rejected_by_nobody(forger: Forger) -> str:
    await forger.opened()
    await forger.decide(Kind.HOLD_REJECTED)
    return "rejects a hold without the votes for it"


async def voted_by_the_requester(forger: Forger) -> str:
    await forger.opened()
    await forger.vote("alice")
    return "is a vote of whoever sent the request"


async def voted_from_the_requesters_account(forger: Forger) -> str:
    await forger.opened()
    await forger.vote("other", account="alice")
    return "is a vote of whoever sent the request"


async def voted_by_the_editor(forger: Forger) -> str:
    await forger.opened()
    await forger.edit("eve")
    await forger.vote("eve")
    return "approves what the same person edited or answered"


async def released_unapproved(forger: Forger) -> str:
    await forger.opened()
    await forger.release()
    return "releases what is not approved, or was released before"


async def released_past_its_hold(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    await forger.record(Kind.REQUEST_RELEASED, {}, {"body": b"the request"})
    return "releases what was not allowed, and names neither a hold nor a grant"


async def released_twice(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    released = EntryDraft(Kind.REQUEST_RELEASED, "s1", {"hold": forger.hold.id}, {"body": b"the request"})
    assert await forger.store.consume(
        forger.hold.id, digest=forger.hold.digest, session="s1", entries=[released]
    )
    await forger.release()
    return "releases what is not approved, or was released before"


async def released_too_late(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    forger.place.clock.time += LIMITS.use_within + 1
    await forger.release()
    return "releases what is not approved, or was released before"


async def released_with_longer_bytes(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    await forger.release(b"another request")
    return "has other bytes than its hold"


async def released_with_other_bytes(forger: Forger) -> str:
    await forger.opened()
    await forger.store.vote(forger.make.ballot(forger.hold), LIMITS)
    await forger.release(b"the REQUEST")
    return "has other bytes than reviewers were shown"


async def granted_without_the_votes(forger: Forger) -> str:
    grant = await forger.proposed(TWO)
    await forger.record(Kind.GRANT_CREATED, {"grant": grant, "hold": forger.hold.id})
    return "puts a grant in force that has not the votes for it"


async def granted_twice(forger: Forger) -> str:
    grant = await forger.proposed(forger.make.security)
    await forger.record(Kind.GRANT_CREATED, {"grant": grant, "hold": forger.hold.id})
    return "puts a grant in force that has not the votes for it"


async def granted_by_the_requester(forger: Forger) -> str:
    grant = await forger.proposed(TWO)
    voter = {"voter": [ISSUER, "alice"], "account": [ISSUER, "alice"], "name": "Alice"}
    stages: list[Scalar] = ["two/0"]
    data = {"act": "a", "voter": pseudonym_of((ISSUER, "alice")), "key": None, "stages": stages}
    more = {"grant": grant, "deadline": LATER}
    await forger.record(Kind.GRANT_VOTED, {**data, **more}, {"voter": json.dumps(voter).encode()})
    return "is a vote of whoever sent the request"


async def used(forger: Forger, who: tuple[str, str], session: str = "s2", **more: Any) -> None:
    """The grant that was proposed last lets a request of alice's through, and it is said whose."""
    draft = forger.make.hold(session, request="again", traits=forger.make.traits)
    data = {"hold": forger.hold.id, "number": 1, "uses": 2, "person": pseudonym_of(who), "typed": [], **more}
    await forger.store.append(
        *draft.entries,
        EntryDraft(Kind.GRANT_USED, session, data),
        EntryDraft(Kind.REQUEST_RELEASED, session, {"grant": data["grant"]}, {"body": b"again"}),
    )


async def used_by_another(forger: Forger) -> str:
    await used(forger, (ISSUER, "mallory"), grant=await forger.proposed(forger.make.security))
    return "is a use of a grant that is for somebody else"


async def used_by_who_voted_for_it(forger: Forger) -> str:
    await used(forger, (ISSUER, "rita"), grant=await forger.proposed(forger.make.security))
    return "is a use of a grant by one who voted for it"


async def used_by_the_account_of_who_voted_for_it(forger: Forger) -> str:
    grant = await forger.proposed(forger.make.security)
    await used(forger, (ISSUER, "alice"), grant=grant, owners=[pseudonym_of(("owner", "rita"))])
    return "is a use of a grant by one who voted for it"


async def used_in_a_session_of_another(forger: Forger) -> str:
    await used(forger, (ISSUER, "mallory"), grant=await forger.proposed(forger.make.security))
    return "is a use of a grant by somebody else than its session's caller"


FORGED_USES = [
    used_by_another,
    used_by_who_voted_for_it,
    used_by_the_account_of_who_voted_for_it,
    used_in_a_session_of_another,
]


@pytest.mark.parametrize("forged", FORGED_USES, ids=lambda forged: forged.__name__)
def test_a_use_of_a_grant_by_whom_it_is_not_for_is_named(
    place: Any, make: Any, run: Any, tmp_path: Path, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    with reading(place.url) as reader:
        assert (f"entry {last - 1}", what) in said(reader, with_payloads=True)
        assert forged is used_by_another or (f"entry {last - 1}", what) in said(reader, with_payloads=False)
    if place.url.startswith("sqlite"):
        found = (f"entry {last - 1}", what) in exported(place, tmp_path / "out", payloads=True)
        assert found is (forged is not used_in_a_session_of_another)


FORGED = [
    with_a_service_and_its_owner_typed_otherwise,
    edited_by_its_owner_typed_otherwise,
    without_votes,
    with_too_few,
    with_two_of_one_voter,
    with_two_names_of_one_account,
    with_a_service_and_its_owner,
    with_votes_for_another_stage,
    with_a_vote_that_was_taken_back,
    with_votes_from_before_an_edit,
    with_a_vote_that_came_too_late,
    twice,
    rejected_by_nobody,
    voted_by_the_requester,
    voted_from_the_requesters_account,
    voted_by_the_editor,
    released_unapproved,
    released_past_its_hold,
    released_twice,
    released_too_late,
    released_with_longer_bytes,
    released_with_other_bytes,
    granted_without_the_votes,
    granted_twice,
    granted_by_the_requester,
]


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: forged.__name__)
def test_what_does_not_follow_from_votes_on_record_is_named(
    place: Any, make: Any, run: Any, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    with reading(place.url) as reader:
        assert (f"entry {last}", what) in said(reader, with_payloads=True)


# Without payloads nothing says how many votes are asked for, who has whose account, or which bytes wait.
UNKNOWN = {
    with_a_service_and_its_owner_typed_otherwise,
    edited_by_its_owner_typed_otherwise,
    with_too_few,
    with_two_of_one_voter,
    with_two_names_of_one_account,
    with_a_service_and_its_owner,
    with_votes_from_before_an_edit,
    with_a_vote_that_came_too_late,
    voted_from_the_requesters_account,
    voted_by_the_editor,
    released_with_other_bytes,
    granted_without_the_votes,
}


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("forged", [f for f in FORGED if f not in UNKNOWN], ids=lambda f: f.__name__)
def test_where_payloads_are_gone_the_entries_alone_still_say_so(
    place: Any, make: Any, run: Any, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    with reading(place.url) as reader:
        assert (f"entry {last}", what) in said(reader, with_payloads=False)


def said(reader: Any, *, with_payloads: bool) -> set[tuple[str, str]]:
    report = verify_store(reader, keys=[KEY.vkey], kept=(), with_payloads=with_payloads)
    return {(wrong.record, wrong.what) for wrong in report.wrong}


LIVE_ONLY = {
    with_two_names_of_one_account,
    with_a_vote_that_came_too_late,
    voted_from_the_requesters_account,
    released_past_its_hold,
}
"""What an export's own verifier does not derive: who has several accounts, when votes came, and how each
exchange was decided."""


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("forged", [f for f in FORGED if f not in LIVE_ONLY], ids=lambda f: f.__name__)
def test_an_export_of_it_says_the_same_by_itself(
    place: Any, make: Any, run: Any, tmp_path: Path, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    for payloads in (True, False) if forged not in UNKNOWN else (True,):
        folder = tmp_path / f"out-{payloads}"
        assert (f"entry {last}", what) in exported(place, folder, payloads=payloads)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("payloads", [True, False])
def test_holds_and_grants_of_every_kind_are_fine_in_an_export(
    place: Any, make: Any, run: Any, tmp_path: Path, payloads: bool
) -> None:
    run(fill(place, make))
    assert exported(place, tmp_path / "out", payloads=payloads, key=FILLED_BY) == []


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("later", [0, 3599, 3600 + 299])
def test_an_export_in_which_an_assertion_was_used_twice_says_so(
    place: Any, run: Any, tmp_path: Path, later: int
) -> None:
    digest: list[Scalar] = [once("assertion", "one")]

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for number in range(2):
                until = int(place.clock.time) + 3600
                used: Data = {"used": digest, "until": until}
                await store.append(EntryDraft(Kind.LOGIN_ACCEPTED, data=used))
                place.clock.time += 0 if number else later

    run(scenario())
    what = (f"used once {digest[0]}", "was used by entry 1, and by entry 2")
    assert exported(place, tmp_path / "out") == [what]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_digest_whose_time_is_over_may_come_again(place: Any, run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for name in ("one", "two", "one"):  # that of the second lets go of the first
                digest: list[Scalar] = [once("assertion", name)]
                used: Data = {"used": digest, "until": int(place.clock.time) + 3600}
                await store.use_once(EntryDraft(Kind.LOGIN_ACCEPTED, data=used))
                place.clock.time += 3600 + 301

    run(scenario())
    assert exported(place, tmp_path / "out") == []


def test_the_verifier_knows_the_headers_of_answers_that_reviewers_had_a_part_in() -> None:
    assert MARKS == verify_export.REVISED


def exported(place: Any, folder: Path, *, payloads: bool = True, key: LogKey = KEY) -> list[tuple[str, str]]:
    """What the verifier of an export says of it."""
    with reading(place.url) as reader:
        size = reader.head().size
        wanted = Wanted((str(key.vkey),), 1, size, payloads=payloads)
        export(reader, folder, wanted, lambda done, size: None)
    return verify_export.verify(folder, [str(key.vkey)]).wrong
