"""Decisions and releases that do not follow from votes on record, each as it is forged."""

from __future__ import annotations

import json

from tests.store.forger import ISSUER, LATER, LIMITS, TWO, Forger
from tests.store.places import pseudonym_of

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.holds import Approval, Stage


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
