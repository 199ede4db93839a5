"""Small requests are judged where they are, large ones in a thread, their rules too."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.servers.ext_proc_fakes import ALICE, CAROL, CONFIG
from tests.servers.process_messages import CHAT

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.events import RequestFailed, RequestJudged
from authz_service.core.request import Request
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import find_operation
from authz_service.policy.decision import Decision, Policy, RequestFacts
from authz_service.runtime.judging import LARGEST_INLINE, Route, judge
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import MOST_WAITING, Threads
from authz_service.view.caller import Caller

REQUEST = Request("ses_1", ALICE, "pseudonym", "POST", CHAT, "openai_chat")


@dataclass
class Watched:
    """A policy that remembers on which threads it was asked."""

    policy: Policy
    threads: list[int] = field(default_factory=list)
    holds_answers: bool = False

    def decide_request(self, facts: RequestFacts) -> Decision:
        self.threads.append(threading.get_ident())
        return self.policy.decide_request(facts)


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "authz.yaml").write_text(CONFIG)
    return rules_of(load_config(tmp_path / "authz.yaml"))


def judged(
    rules: Rules, body: bytes, *, caller: Caller = ALICE, is_first: bool = False
) -> RequestJudged | RequestFailed:
    found = find_operation("POST", CHAT)
    assert found is not None
    judging = judge(
        rules,
        REQUEST,
        Route(*found),
        body,
        caller=caller,
        now=0.0,
        new_hold="hold_1",
        threads=Threads(),
        is_first=is_first,
    )
    return asyncio.run(judging)


def asking(size: int) -> bytes:
    return json.dumps({"model": "llama", "messages": [{"role": "user", "content": "a" * size}]}).encode()


@pytest.mark.parametrize(("size", "is_here"), [(10, True), (LARGEST_INLINE, False)])
def test_the_rules_are_asked_where_the_body_was_read(rules: Rules, size: int, is_here: bool) -> None:
    watched = Watched(rules.policy)
    answer = judged(replace(rules, policy=cast(Policy, watched)), asking(size))
    assert isinstance(answer, RequestJudged)
    assert [thread == threading.get_ident() for thread in watched.threads] == [is_here]


@pytest.mark.parametrize(
    ("caller", "is_first", "holds_answers", "is_made"),
    [
        (ALICE, True, False, False),
        (ALICE, True, True, True),
        (ALICE, False, False, True),
        (CAROL, True, False, True),
        (replace(ALICE, groups=()), True, False, True),
    ],
    ids=["goes on", "answers are held", "was approved", "is held", "is denied"],
)
def test_what_is_asked_of_a_large_request_later_is_made_in_the_thread(
    rules: Rules, caller: Caller, is_first: bool, holds_answers: bool, is_made: bool
) -> None:
    watched = replace(rules, policy=cast(Policy, Watched(rules.policy, holds_answers=holds_answers)))
    body = asking(LARGEST_INLINE).replace(b"aaaa", b"a@example.com ", 1)
    answer = judged(watched, body, caller=caller, is_first=is_first)
    assert isinstance(answer, RequestJudged)
    assert answer.inspection is not None
    made = (answer.inspection._redacted, answer.inspection._fingerprint, answer.inspection._changes)
    assert [isinstance(each, bytes) for each in made] == [is_made] * 3


@pytest.mark.parametrize("body", [b"", b"{", b"[" * LARGEST_INLINE * 2])
def test_what_cannot_be_read_fails_the_request_wherever_it_was_read(rules: Rules, body: bytes) -> None:
    assert isinstance(judged(rules, body), RequestFailed)


def test_headers_that_change_meaning_make_another_request_and_others_do_not(rules: Rules) -> None:
    found = find_operation("POST", CHAT)
    assert found is not None

    def fingerprint(**headers: str) -> bytes:
        request = replace(REQUEST, headers={name.replace("_", "-"): v for name, v in headers.items()})
        answer = asyncio.run(
            judge(
                rules,
                request,
                Route(*found),
                asking(5),
                caller=ALICE,
                now=0.0,
                new_hold="h",
                threads=Threads(),
            )
        )
        assert isinstance(answer, RequestJudged)
        assert answer.inspection is not None
        return answer.inspection.fingerprint

    assert fingerprint() == fingerprint(user_agent="a", idempotency_key="b")
    assert fingerprint(openai_beta="a") != fingerprint(openai_beta="b")
    assert fingerprint(accept="a', 'b") != fingerprint(accept="a", openai_beta="b")


@dataclass
class Headers(dict[str, str]):
    """Headers that remember on which threads they were read."""

    threads: list[int] = field(default_factory=list)

    def items(self) -> Any:
        self.threads.append(threading.get_ident())
        return super().items()


@pytest.mark.parametrize(("size", "made_by_judging"), [(10, []), (LARGEST_INLINE, [False])])
def test_what_may_be_asked_of_a_large_request_is_made_in_the_thread_too(
    rules: Rules, size: int, made_by_judging: list[bool]
) -> None:
    headers = Headers()
    found = find_operation("POST", CHAT)
    assert found is not None
    judging = judge(
        rules,
        replace(REQUEST, headers=headers),
        Route(*found),
        asking(size),
        caller=ALICE,
        now=0.0,
        new_hold="h",
        threads=Threads(),
    )
    answer = asyncio.run(judging)
    assert isinstance(answer, RequestJudged)
    assert [thread == threading.get_ident() for thread in headers.threads] == made_by_judging
    assert answer.inspection is not None
    assert answer.inspection.fingerprint.startswith(b"POST\0" + CHAT.encode() + b"\0llama\0")
    assert len(headers.threads) == 1


class Slowly:
    """What Presidio is to the rules: a scanner of requests that waits until it is let go."""

    def __init__(self, scanner: Scanner) -> None:
        self.entities = scanner.entities
        self.scan, self.incremental = scanner.scan, scanner.incremental


@dataclass
class Queue:
    """A policy that remembers who was judged, and lets nobody pass before it is told to."""

    policy: Policy
    judged: list[str] = field(default_factory=list)
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    holds_answers: bool = False

    def decide_request(self, facts: RequestFacts) -> Decision:
        self.judged.append(facts.caller.subject)
        self.begun.set()
        assert self.go_on.wait(60)
        return self.policy.decide_request(facts)


@pytest.mark.parametrize("by_presidio", [True, False])
def test_requests_that_wait_to_be_read_take_turns_by_caller_and_one_of_too_many_is_refused(
    rules: Rules, by_presidio: bool
) -> None:
    found = find_operation("POST", CHAT)
    assert found is not None
    queue = Queue(rules.policy)
    scanner = cast(Scanner, Slowly(rules.scanner)) if by_presidio else rules.request_scanner
    slow = replace(rules, policy=cast(Policy, queue), request_scanner=scanner)
    body = asking(10 if by_presidio else LARGEST_INLINE)
    threads = Threads()

    async def ask(caller: Caller, *, is_first: bool = True) -> RequestJudged | RequestFailed:
        return await judge(
            slow,
            REQUEST,
            Route(*found),
            body,
            caller=caller,
            now=0.0,
            new_hold="h",
            threads=threads,
            is_first=is_first,
        )

    async def scenario() -> None:
        asked = [asyncio.create_task(ask(ALICE)) for _ in range(MOST_WAITING + 1)]
        assert await asyncio.to_thread(queue.begun.wait, 60)
        refused = await ask(ALICE)
        assert isinstance(refused, RequestFailed)
        assert (refused.error.code, refused.error.status) == ("too_many_waiting", 429)
        asked.append(asyncio.create_task(ask(CAROL)))
        asked.append(asyncio.create_task(ask(ALICE, is_first=False)))
        await asyncio.sleep(0)
        queue.go_on.set()
        judged = await asyncio.gather(*asked)
        assert all(isinstance(each, RequestJudged) for each in judged)

    asyncio.run(scenario())
    assert queue.judged == [ALICE.subject, CAROL.subject, *[ALICE.subject] * (MOST_WAITING + 1)]
