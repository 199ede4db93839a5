"""A store with everything in it, and changes of its rows, for the tests of verification."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    Boolean,
    Integer,
    LargeBinary,
    Table,
    and_,
    create_engine,
    select,
)
from sqlalchemy.types import BigInteger
from tests.servers.key_fakes import api_key

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.audit.walk import Kept
from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.business_hours import Hours
from authz_service.core.entries import caller_payload
from authz_service.core.grants import OneGroup
from authz_service.core.holds import Approval, Escalation, Stage, StageRef, Verdict
from authz_service.core.limits import CountedBy, Demand, Quota, Rates
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.core.stored_holds import Hold, HoldLimits
from authz_service.core.used_once import once
from authz_service.keys.log_key import LogKey
from authz_service.servers.review_keys import _made
from authz_service.servers.review_tokens import _entry
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import Verified, verify_store
from authz_service.view.caller import Caller

KEY = LogKey.create("example.com/log")


LIMITS = HoldLimits()


def verify(
    place: Any, *, kept: tuple[Kept, ...] = (), with_payloads: bool = True, key: LogKey = KEY
) -> Verified:
    with reading(place.url) as reader:
        return verify_store(reader, keys=[key.vkey], kept=kept, with_payloads=with_payloads)


def found(place: Any, **more: Any) -> list[tuple[str, str]]:
    return [(wrong.record, wrong.what) for wrong in verify(place, **more).wrong]


async def fill(place: Any, make: Any) -> None:
    """Sessions and holds of every kind and state."""
    two = Approval("two", (Stage("true", 2, 900.0), Stage("true", 1, 1800.0)))
    async with place.store(signer=KEY) as store:
        await store.append(EntryDraft(Kind.SERVICE_STARTED, data={"recovered": 0}))
        await store.append(make.received("s1"), make.decided("s1"), make.released("s1", b"\xff\x00 body"))
        await store.append(
            EntryDraft(
                Kind.EXCHANGE_ENDED,
                "s1",
                {"outcome": "completed", "prompt_tokens": 7, "completion_tokens": 9},
            )
        )
        await store.append(EntryDraft(Kind.SESSION_READ, "s1", payloads={"reader": b"{}"}))
        await store.append(make.received("s2", person="ann@example.com"), make.decided("s2", "deny", "no"))
        approved = (await store.open_hold(make.hold("s3", request="three"), LIMITS)).hold
        await store.vote(make.ballot(approved, key="once"), LIMITS)
        await store.append(make.received("s4"))
        released = EntryDraft(Kind.REQUEST_RELEASED, "s4", {"hold": approved.id}, {"body": b"three"})
        await store.consume(
            approved.id,
            digest=approved.digest,
            session="s4",
            entries=[make.decided("s4"), released],
        )
        await store.append(make.ended("s4"))
        rejected = (await store.open_hold(make.hold("s5", request="five"), LIMITS)).hold
        await store.vote(make.ballot(rejected, "rob", Verdict.REJECT), LIMITS)
        staged = (await store.open_hold(make.hold("s6", request="six", approvals=(two,)), LIMITS)).hold
        await store.vote(make.ballot(staged, "rita"), LIMITS)
        place.clock.time += 60
        await store.vote(make.ballot(staged, "rob"), LIMITS)
        overdue = make.hold("s7", request="seven", approvals=(Approval("quick", (Stage("true", 1, 30.0),)),))
        await store.open_hold(overdue, LIMITS)
        place.clock.time += 60
        await store.expire_overdue()
        await store.open_hold(make.hold("s8", request="eight", forward=b"one"), LIMITS)
        await store.open_hold(make.hold("s9", request="eight", forward=b"two"), LIMITS)
        await store.open_hold(make.hold("s10", request="eight", forward=b"two"), LIMITS)
        shared = Demand(tuple(Quota(CountedBy.GROUP, n, Rates(tokens_per_day=9)) for n in ("a", "b")))
        begun = make.received("s40")
        counted: Data = {**begun.data, "model": "m", "tokens": 0, "bytes": 2, "budgets": ["a", "b"]}
        await store.admit(shared, replace(begun, data=counted))
        again = EntryDraft(Kind.REQUEST_REFUSED_AGAIN, "s41", {"code": "rate_limit_exceeded", "count": 7})
        await store.append(make.received("s41"), make.ended("s41"))
        await store.append(again)
        await act(place, make, store)
        await grant(place, make, store)
        await withdraw(place, store)
        await give_keys(place, store)
        digests: list[Scalar] = [once("assertion", name) for name in ("one", "two")]
        used: Data = {"used": digests, "until": int(place.clock.time) + 86_400}
        await store.use_once(EntryDraft(Kind.LOGIN_ACCEPTED, data=used))
        names: list[Scalar] = ["one", "two"]
        await store.append(EntryDraft(Kind.ANSWER_KEPT, "s41", {"caller": "p-alice", "names": names}))


async def grant(place: Any, make: Any, store: Any) -> None:
    """Grants that are proposed, in force, used, revoked and over."""
    two = Approval("two", (Stage("true", 2, 900.0), Stage("true", 1, 1800.0)))
    until = int(place.clock.time) + 900
    for number, name in enumerate(("rita", "rob")):
        draft = make.hold(f"g{number}", request=f"g{number}", traits=make.traits)
        hold = (await store.open_hold(draft, LIMITS)).hold
        terms = make.terms(until=until - number)
        by = make.maker(name, key="" if number else "once")
        made = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by)
        for use in range(2 - number):
            used = make.hold(f"g{number}-{use}", request=f"used {number} {use}", traits=make.traits)
            await store.open_hold(used, LIMITS)
    await store.revoke_grant(made.id, by=make.maker("olga", key="end"))
    draft = make.hold("g3", request="g3", traits=make.traits, approvals=(two,))
    hold = (await store.open_hold(draft, LIMITS)).hold
    for name in ("rita", "rob"):
        terms = make.terms(
            until=until, approvals=(two,), beneficiary=OneGroup("https://issuer.example", "staff")
        )
        by = make.maker(name, approvals=(two,))
        place.clock.time += 5
        await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=by)


async def act(place: Any, make: Any, store: Any) -> None:
    """Turns of stages, claims, comments, votes taken back, and decisions made alone."""
    hours = Hours("Europe/Berlin", (0, 1, 2, 3, 4, 5, 6), 0, 86_400)
    escalating = Approval("esc", (Stage("a", 2, 60.0, Escalation("b", 60.0), 20.0, hours),))

    async def does(hold: Hold, kind: ActKind, who: str, text: str = "") -> None:
        identity = ("https://issuer.example", who)
        await store.act(ActDraft(hold.id, kind, identity, identity, who, text, f"{kind}{who}"), LIMITS)

    staged = (await store.open_hold(make.hold("s11", request="a", approvals=(escalating,)), LIMITS)).hold
    waits = make.hold("s12", request="b", approvals=(replace(escalating, name="slow"),))
    await store.open_hold(waits, LIMITS)
    await store.vote(make.ballot(staged), LIMITS)
    await does(staged, ActKind.CLAIM, "rob")
    await does(staged, ActKind.COMMENT, "rob", "What for?")
    place.clock.time += 45
    await store.expire_overdue()
    await does(staged, ActKind.WITHDRAW, "rita", "too fast")
    await does(staged, ActKind.UNCLAIM, "rob")
    place.clock.time += 30
    after = StageRef("esc", 0, is_escalated=True)
    await store.vote(make.ballot(staged, "lea", stages=(after,)), LIMITS)
    alone = replace(make.ballot(staged, "gus"), is_break_glass=True, may_vote_in=())
    await store.vote(alone, LIMITS)
    await does(staged, ActKind.REVIEW, "rob", "it was right")
    for number in range(3):
        more = (await store.open_hold(make.hold(f"s2{number}", request=f"c{number}"), LIMITS)).hold
        await store.vote(replace(make.ballot(more, "gus"), is_break_glass=True, may_vote_in=()), LIMITS)
        if number:
            await does(more, ActKind.WITHDRAW, "gus", "after all not")
    for number, answer in enumerate((None, AnswerHead(200, {"content-type": "text/plain"}))):
        kind = ActKind.EDIT if answer is None else ActKind.RESPOND
        waits = (await store.open_hold(make.hold(f"s3{number}", request=f"e{number}"), LIMITS)).hold
        stages, rita = (StageRef("security", 0),), ("https://issuer.example", "rita")
        revision = Revision(waits.digest, b"changed", {"IBAN_CODE": 1}, stages, b"[]", answer)
        await store.act(ActDraft(waits.id, kind, rita, rita, "rita", "better", "k", revision), LIMITS)
        await store.vote(make.ballot(await store.hold(waits.id), "rob"), LIMITS)
    late = (await store.open_hold(make.hold("s24", request="d", approvals=(escalating,)), LIMITS)).hold
    await store.vote(make.ballot(late, "rita"), LIMITS)
    await store.vote(make.ballot(late, "rob"), LIMITS)
    place.clock.time += 125
    await does(late, ActKind.WITHDRAW, "rob")


async def withdraw(place: Any, store: Any) -> None:
    """Tokens that are withdrawn for good and for a while, one that ran out, and one that was lifted."""
    now = place.clock.time
    for number, until in enumerate((None, None, now + 1000.5, now + 5)):
        await store.revoke(*revocation(Kind.TOKEN_REVOKED, number, until))
    place.clock.time += 10
    lifted, entry = revocation(Kind.TOKEN_RESTORED, 0, None)
    assert await store.restore(lifted.what, entry)
    await store.revoke(*revocation(Kind.TOKEN_REVOKED, 4, None))


async def give_keys(place: Any, store: Any) -> None:
    """API keys: one as it was made, one that was rotated, one that was revoked."""
    ends, oscar = place.clock.time + 3600.5, Caller("https://issuer.example", "oscar", 0.0)
    for number in range(3):
        made = api_key(f"key_{number}", expires_at=ends)
        await store.create_key(made, _made(Kind.API_KEY_CREATED, made, oscar))
    new = api_key("key_3", name="key_1", replaces="key_1", expires_at=ends)
    until = place.clock.time + 60.5
    rotated = _made(Kind.API_KEY_ROTATED, new, oscar, replaced_until=int(until))
    await store.rotate_key(new, rotated, until=until)
    payloads = {"operator": caller_payload(oscar), "reason": b'{"reason": "lost"}'}
    revoked = EntryDraft(Kind.API_KEY_REVOKED, data={"key": "key_2"}, payloads=payloads)
    await store.revoke_key("key_2", revoked)


def revocation(kind: Kind, number: int, until: float | None) -> tuple[Revocation, EntryDraft]:
    """One, and its entry as the review API makes it."""
    what = Revoked("https://issuer.example", RevokedBy.SUBJECT, f"mallory {number}")
    made = Revocation(what, until, "left", "oscar", 0.0)
    return made, _entry(kind, made, Caller("https://issuer.example", "oscar", 0.0))


def engine_of(place: Any) -> Any:
    return create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))


def change(place: Any, *statements: Any) -> None:
    engine = engine_of(place)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)
    engine.dispose()


def rows_of(place: Any, table: Table) -> list[Any]:
    engine = engine_of(place)
    with engine.connect() as connection:
        rows = list(connection.execute(select(table).order_by(*table.primary_key)))
    engine.dispose()
    return rows


def mutated(column: Any, value: Any, chance: random.Random) -> Any:
    """Another value of the column's type: one byte, character or bit of it is changed."""
    kind = column.type
    if isinstance(kind, Boolean):
        return not value
    if isinstance(kind, (BigInteger, Integer)) or "INT" in str(kind).upper():
        return (value or 0) ^ (1 << chance.randrange(8, 31))
    if isinstance(kind, LargeBinary):
        if not value:
            return b"x"
        place = chance.randrange(len(value))
        return value[:place] + bytes([value[place] ^ (1 << chance.randrange(8))]) + value[place + 1 :]
    if not value:
        return "x"
    place = chance.randrange(len(value))
    other = chance.choice([c for c in "abc123 {}" if c != value[place]])
    return value[:place] + other + value[place + 1 :]


def identified(table: Table, row: Any, **changed: Any) -> Any:
    """The condition for one row, by all of its primary key."""
    return and_(
        *(column == changed.get(column.name, getattr(row, column.name)) for column in table.primary_key)
    )
