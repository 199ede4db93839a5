"""What a filled store is asked, and how long it takes: each kind of list and search, and a session's page."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench.sessions.filling import name_of

from authz_service.core.pages import Page
from authz_service.core.sessions import Session, SessionQuery
from authz_service.store.sql_store import SqlStore

AIM = 0.200  # seconds at the 95th percentile
TRIES = 40
DEEP = 20  # pages

CASES: dict[str, SessionQuery] = {
    "newest": SessionQuery(),
    "caller, frequent": SessionQuery(caller="user1"),
    "caller, rare": SessionQuery(caller="user4711"),
    "person": SessionQuery(caller="user17@example.com"),
    "pseudonym": SessionQuery(caller="p17"),
    "model, frequent": SessionQuery(model="model1"),
    "model, rare": SessionQuery(model="model17"),
    "rule, frequent": SessionQuery(rule="rule1"),
    "rule, rare": SessionQuery(rule="rule33"),
    "decision allow": SessionQuery(decision="allow"),
    "decision deny": SessionQuery(decision="deny"),
    "status denied": SessionQuery(status="denied"),
    "nobody's": SessionQuery(caller="nobody"),
    "rule and model": SessionQuery(rule="rule2", model="model3"),
    "rare rule, rare model": SessionQuery(rule="rule44", model="model18"),
    "group": SessionQuery(group="team7"),
    "group of everybody": SessionQuery(group="staff"),
    "group and model": SessionQuery(group="team7", model="model17"),
    "entity": SessionQuery(entity="PRIVATE_KEY"),
    "entity, frequent": SessionQuery(entity="EMAIL_ADDRESS"),
    "entity and allow": SessionQuery(entity="PRIVATE_KEY", decision="allow"),
    "reviewer, none": SessionQuery(reviewer="rita"),
    "text, frequent word": SessionQuery(text="word1"),
    "text, rare word": SessionQuery(text="word19876"),
    "text, no such word": SessionQuery(text="nobodysaysthis"),
    "text, two words": SessionQuery(text="word40 word90"),
    "text, two rare words": SessionQuery(text="word18765 word19876"),
    "text, phrase": SessionQuery(text='"word1 word2 word3"'),
    "text, rare phrase": SessionQuery(text='"word11 word22 word33"'),
    "text and rule": SessionQuery(text="word1", rule="no-keys"),
    "text and caller": SessionQuery(text="word7", caller="user1"),
    "beginning of an id": SessionQuery(id_prefix="ses_0000000000000000000000123"),
}


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds, sorted; `found` is how many, with a plus where there are more."""

    name: str
    found: str
    times: list[float]

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.times)

    @property
    def p95(self) -> float:
        """The 95th percentile."""
        return self.times[int(len(self.times) * 0.95) - 1]


async def ask(store: SqlStore, count: int) -> AsyncIterator[Took]:
    """Each case over `count` sessions, one after another."""
    for name, query in CASES.items():
        yield await _case(store, name, query)
    middle = await store.session(name_of(count // 2))
    if middle is not None:
        day = SessionQuery(since=middle.started_at, until=middle.started_at + 86400)
        yield await _case(store, "a day of the past", day)
        text = SessionQuery(text="word1", since=middle.started_at, until=middle.started_at + 86400)
        yield await _case(store, "text on that day", text)
        yield await _case(store, "text until then", SessionQuery(text="word77", until=middle.started_at))
    for name in ("newest", "model, frequent", "text, frequent word", "text, two words"):
        yield await _deep(store, name)
    chance = random.Random(11)

    async def show() -> object:
        session = name_of(chance.randrange(count))
        await store.session(session)
        return await store.entries(session)

    yield Took("show", "1", await _times(show))


async def _case(store: SqlStore, name: str, query: SessionQuery) -> Took:
    page = await store.sessions(query)
    return Took(name, _found(page), await _times(partial(store.sessions, query)))


async def _deep(store: SqlStore, name: str) -> Took:
    """The pages of a list, one after the other; each is a try."""
    times, found, query = [], 0, CASES[name]
    token = ""
    for _ in range(DEEP):
        began = time.perf_counter()
        page = await store.sessions(SessionQuery(model=query.model, text=query.text, page_token=token))
        times.append(time.perf_counter() - began)
        found += len(page.items)
        token = page.next_page_token
        if not token:
            break
    return Took(f"{name}, {len(times)} pages", f"{found}{'+' if token else ''}", sorted(times))


async def _times(work: Callable[[], Awaitable[object]]) -> list[float]:
    times = []
    for _ in range(TRIES):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return sorted(times)


def _found(page: Page[Session]) -> str:
    return f"{len(page.items)}{'+' if page.next_page_token else ''}"
