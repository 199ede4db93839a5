"""What a directory said is kept within its bounds, and nothing that it could not say counts as all groups."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from authz_service.identity import group_cache
from authz_service.identity.directory import UnknownMember, Unusable
from authz_service.identity.download import NotServed
from authz_service.identity.group_cache import (
    AT_ONCE,
    LONGEST_PAUSE,
    PAUSE,
    UNKNOWN_FOR,
    GroupCache,
    Lookup,
)
from authz_service.identity.verifier import Verifier
from authz_service.view.caller import Caller

if TYPE_CHECKING:
    from tests.identity.conftest import Clock
    from tests.identity.provider import Provider

FRESH, STALE = 300.0, 3600.0


class Answers:
    """A directory that says what it is told to, once its gate is open."""

    def __init__(self) -> None:
        self.groups: dict[str, tuple[str, ...]] = {"alice": ("a",)}
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def groups_of(self, member: str) -> tuple[str, ...]:
        self.asked.append(member)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        if member not in self.groups:
            raise UnknownMember
        return self.groups[member]


Scene = Callable[[Answers, GroupCache], Awaitable[None]]


@pytest.fixture
def play(clock: Clock) -> Callable[[Scene], None]:
    """Runs a scene with a directory and the cache before it."""

    async def run(scene: Scene) -> None:
        answers = Answers()
        cache = GroupCache(answers, fresh=FRESH, stale=STALE, clock=clock)
        await scene(answers, cache)
        await cache.close()

    return lambda scene: asyncio.run(run(scene))


async def settled(cache: GroupCache) -> None:
    await asyncio.gather(*cache._asking.values())


def test_who_asks_at_the_same_time_is_answered_by_one_question(play: Callable[[Scene], None]) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.gate.clear()
        asking = [asyncio.create_task(cache.groups_of("alice")) for _ in range(50)]
        while not answers.asked:
            await asyncio.sleep(0)
        asking[0].cancel()
        answers.gate.set()
        assert await asyncio.gather(*asking[1:]) == [("a",)] * 49
        assert answers.asked == ["alice"]

    play(scene)


def test_an_answer_is_asked_for_again_before_it_ages_and_nobody_waits(
    play: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        await cache.groups_of("alice")
        clock.now += FRESH / 2 - 1
        assert await cache.groups_of("alice") == ("a",)
        assert answers.asked == ["alice"]
        answers.groups["alice"] = ("b",)
        clock.now += 1
        assert await cache.groups_of("alice") == ("a",)
        await settled(cache)
        assert await cache.groups_of("alice") == ("b",)
        assert answers.asked == ["alice"] * 2

    play(scene)


def test_an_answer_that_nobody_asked_for_meanwhile_is_not_given_when_it_is_old(
    play: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        await cache.groups_of("alice")
        answers.groups["alice"] = ()
        clock.now += FRESH
        assert await cache.groups_of("alice") == ()

    play(scene)


def test_the_last_answer_stays_while_the_directory_is_away_and_not_for_ever(
    play: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        await cache.groups_of("alice")
        answers.error = NotServed(503)
        clock.now += FRESH + STALE - 1
        assert await cache.groups_of("alice") == ("a",)
        clock.now += 1
        assert await cache.groups_of("alice") is None

    play(scene)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (NotServed(503), PAUSE),
        (NotServed(429, 60.0), 60.0),
        (NotServed(429, 0.0), PAUSE),
        (NotServed(429, 1e9), LONGEST_PAUSE),
        (ValueError("not JSON"), PAUSE),
        (NotServed(401), PAUSE),
        (OSError("away"), PAUSE),
    ],
)
def test_after_a_failure_nobody_is_asked_for_until_the_pause_is_over(
    play: Callable[[Scene], None], clock: Clock, error: Exception, seconds: float
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.error = error
        assert await cache.groups_of("alice") is None
        answers.error = None
        clock.now += seconds - 0.5
        assert await cache.groups_of("alice") is None
        assert await cache.groups_of("bob") is None
        assert answers.asked == ["alice"]
        clock.now += 0.5
        assert await cache.groups_of("alice") == ("a",)

    play(scene)


def test_one_of_whom_the_directory_says_nothing_keeps_nobody_else_from_being_asked_for(
    play: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.error = Unusable("a group without a name")
        assert await cache.groups_of("mallory") is None
        answers.error = None
        assert await cache.groups_of("alice") == ("a",)
        assert await cache.groups_of("mallory") is None
        assert answers.asked == ["mallory", "alice"]

    play(scene)


def test_whom_the_directory_does_not_know_is_not_asked_for_at_each_request(
    play: Callable[[Scene], None], clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        for _ in range(10):
            assert await cache.groups_of("mallory") is None
        assert await cache.groups_of("alice") == ("a",)
        assert answers.asked == ["mallory", "alice"]
        clock.now += UNKNOWN_FOR
        answers.groups["mallory"] = ("m",)
        assert await cache.groups_of("mallory") == ("m",)

    play(scene)


def test_a_request_waits_only_so_long_and_the_answer_is_there_for_the_next(
    play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_cache, "LONGEST_WAIT", 0.02)

    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.gate.clear()
        assert await cache.groups_of("alice") is None
        answers.gate.set()
        await settled(cache)
        assert await cache.groups_of("alice") == ("a",)
        assert answers.asked == ["alice"]

    play(scene)


def test_a_directory_that_never_answers_is_given_up(
    play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_cache, "LONGEST_LOOKUP", 0.02)

    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.gate.clear()
        assert await cache.groups_of("alice") is None
        assert not cache._asking

    play(scene)


def test_only_so_many_questions_run_at_a_time(play: Callable[[Scene], None]) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.groups = {f"p{n}": (f"g{n}",) for n in range(100)}
        answers.gate.clear()
        asking = [asyncio.create_task(cache.groups_of(name)) for name in answers.groups]
        while len(answers.asked) < AT_ONCE or len(cache._asking) < len(asking):
            await asyncio.sleep(0)
        answers.gate.set()
        assert await asyncio.gather(*asking) == list(answers.groups.values())
        assert answers.most_at_once == AT_ONCE

    play(scene)


def test_what_is_kept_is_bounded(play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_cache, "MOST_PEOPLE", 3)

    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.groups = {f"p{n}": ("g",) for n in range(9)}
        for name in answers.groups:
            assert await cache.groups_of(name) == ("g",)
        assert len(cache._known) == 3

    play(scene)


def test_a_callers_groups_are_completed_and_never_guessed(
    play: Callable[[Scene], None], provider: Provider, clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        trusted = provider.trusted(lookup=Lookup(cache, "oid"))
        verifier = Verifier([trusted], review_audience=provider.review, clock=clock)

        async def verified(**claims: Any) -> Caller:
            return await verifier.verify_gateway(provider.token("ed", **claims))

        overage = {"groups": None, "_claim_names": {"groups": "src1"}}
        looked_up = await verified(oid="alice", **overage)
        assert (looked_up.groups, looked_up.groups_complete) == (("a",), True)
        assert looked_up.subject == "alice"
        for unknown in ({"oid": "mallory"}, {"oid": ["alice"]}, {"oid": ""}, {}):
            left = await verified(**unknown, **overage)
            assert (left.groups, left.groups_complete) == ((), False)
        complete = await verified(oid="alice", groups=["b"])
        assert (complete.groups, complete.groups_complete) == (("b",), True)
        assert answers.asked == ["alice", "mallory"]

    play(scene)


def test_an_address_that_nobody_verified_brings_nobody_elses_groups(
    play: Callable[[Scene], None], provider: Provider, clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        answers.groups["boss@example.com"] = ("admins",)

        async def groups(lookup: Lookup, **claims: Any) -> tuple[tuple[str, ...], bool]:
            verifier = Verifier(
                [provider.trusted(lookup=lookup)], review_audience=provider.review, clock=clock
            )
            token = provider.token("ed", email="boss@example.com", groups=None, **claims)
            caller = await verifier.verify_gateway(token)
            return caller.groups, caller.groups_complete

        by_email, trusting = Lookup(cache, "email"), Lookup(cache, "email", is_email_trusted=True)
        for said in ({}, {"email_verified": False}):
            assert await groups(by_email, **said) == ((), False)
        assert await groups(trusting, email_verified=False) == ((), False)
        assert answers.asked == []
        assert await groups(by_email, email_verified=True) == (("admins",), True)
        assert await groups(trusting) == (("admins",), True)

    play(scene)


def test_a_remembered_token_follows_the_directory(
    play: Callable[[Scene], None], provider: Provider, clock: Clock
) -> None:
    async def scene(answers: Answers, cache: GroupCache) -> None:
        trusted = provider.trusted(lookup=Lookup(cache, "oid"))
        verifier = Verifier([trusted], review_audience=provider.review, clock=clock)
        token = provider.token("ed", oid="alice", groups=None)
        assert (await verifier.verify_gateway(token)).groups == ("a",)
        answers.groups["alice"] = ()
        clock.now += FRESH
        assert (await verifier.verify_gateway(token)).groups == ()
        answers.error = NotServed(503)
        clock.now += FRESH
        assert (await verifier.verify_gateway(token)).groups_complete
        clock.now += STALE - FRESH - FRESH - 1
        assert (await verifier.verify_gateway(token)).groups_complete

    play(scene)
