"""What the verifier of an export says of entries that do not follow from those before them."""

from __future__ import annotations

from typing import Any

from authz_verifier.bundles import Bundle
from authz_verifier.decisions import Decisions

PERSON = {"person": "p1"}


def entry(kind: str, session: str = "s1", **data: Any) -> dict[str, Any]:
    payloads = {"forward": {"digest": "d1", "size": 3}} if kind == "hold.opened" else {}
    at = "2026-11-21T12:00:00.000000Z"
    return {"at": at, "kind": kind, "session": session, "data": data, "payloads": payloads}


def wrong(*entries: dict[str, Any]) -> list[tuple[str, str]]:
    decisions, bundle = Decisions(is_whole=True), Bundle()
    for sequence, document in enumerate(entries, 1):
        decisions.follow({**document, "seq": sequence}, bundle)
    return [*((record, what) for _, record, what in bundle.wrong), *decisions.end()]


PROPOSED = entry("grant.proposed", grant="g", approvals=[], uses=5, until="3", **PERSON)
CREATED, REVOKED = entry("grant.created", grant="g"), entry("grant.revoked", grant="g")
USED, RELEASED = entry("grant.used", grant="g", number=1), entry("request.released", grant="g")
VOTED = entry("grant.voted", grant="g", act="a1", stages=["a/0"], voter="p2")
MADE = (PROPOSED, VOTED, CREATED)


def test_a_use_and_its_release_stand_next_to_each_other() -> None:
    assert wrong(*MADE, USED, RELEASED) == []
    assert wrong(*MADE, USED) == [("grant g", "has a last use that no release follows")]
    assert wrong(*MADE, RELEASED) == [("entry 4", "is a release under a grant, and no use of it")]
    between = [("entry 5", "is no release, and a use of a grant comes before it")]
    assert wrong(*MADE, USED, entry("request.released")) == between
    other = entry("request.released", "s2", grant="g")
    assert wrong(*MADE, USED, other) == [("entry 5", "is a release under a grant, and no use of it")]


def test_a_grant_is_used_while_it_is_in_force_and_no_more_often_than_it_says() -> None:
    not_in_force = "uses a grant that is not in force"
    assert wrong(PROPOSED, USED, RELEASED) == [("entry 2", not_in_force)]
    assert wrong(*MADE, REVOKED, USED, RELEASED) == [("entry 5", not_in_force)]
    assert wrong(
        {**PROPOSED, "data": {**PROPOSED["data"], "until": "1"}}, VOTED, CREATED, USED, RELEASED
    ) == [("entry 4", not_in_force)]
    again = "uses a grant more often than it was made for, or leaves a use out"
    assert wrong(*MADE, USED, RELEASED, USED, RELEASED) == [("entry 6", again)]
    without = "puts a grant in force that has not the votes for it"
    assert wrong({**PROPOSED, "data": {**PROPOSED["data"], "approvals": ["a"]}}, CREATED) == [
        ("entry 2", without)
    ]


def test_a_hold_ends_once() -> None:
    opened, expired = entry("hold.opened", hold="h", **PERSON), entry("hold.expired", hold="h")
    assert wrong(opened, expired) == []
    assert wrong(opened, expired, expired) == [("entry 3", "ends a hold that has ended before")]
    assert wrong(expired) == [("entry 1", "is about a hold that no entry opens")]
    settled = entry("hold.superseded", hold="h", why="refused", by="s1")
    unsaid = "ends a hold for what became of a session, which is not on record"
    assert wrong(opened, settled) == [("entry 2", unsaid)]
    assert wrong(opened, entry("request.refused"), settled) == []
