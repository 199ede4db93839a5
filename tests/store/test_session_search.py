"""Sessions are found by everything that a list can be filtered by, and what is forgotten is not found."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import create_engine, delete, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.sessions import SessionQuery
from authz_service.errors import Unreadable
from authz_service.store import search_index, search_texts, session_queries
from authz_service.store.schema import payloads

START = 1_800_000_000.0


def asked(said: str) -> bytes:
    return json.dumps({"model": "llama", "messages": [{"role": "user", "content": said}]}).encode()


def streamed(*pieces: str) -> list[bytes]:
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]


def answered(session: str, *pieces: str) -> list[EntryDraft]:
    return [
        EntryDraft(Kind.ANSWER_RELEASED, session, {"masked": {"IBAN_CODE": 1}}, {"body": body})
        for body in streamed(*pieces)
    ]


async def fill(store: Any, make: Any, clock: Any) -> None:
    """s0 to s9, a second apart; what is special about some is what tests look for."""
    for number in range(10):
        name = f"s{number}"
        decided = make.decided(name, "deny" if number == 3 else "allow", "rare" if number == 4 else "staff")
        drafts = [make.received(name, f"user{number % 2}", person="p@example.com" if number == 6 else None)]
        drafts += [decided, make.released(name, asked(f"Über question number {number}"))]
        drafts += answered(name, "The an", f"swer is for{number}ty", " two.") if number % 2 else []
        drafts.append(make.ended(name, "client_left" if number == 8 else "completed"))
        await store.append(*drafts)
        clock.time += 1.0
    await store.append(
        EntryDraft(Kind.REQUEST_DECIDED, "s5", {"findings": {"EMAIL_ADDRESS": 2, "PERSON": 0}}),
        EntryDraft(
            Kind.HOLD_VOTED,
            "s5",
            {"hold": "h"},
            {
                "voter": json.dumps(
                    {"voter": ["iss", "rita"], "account": ["iss", "r1"], "name": "Rita R"}
                ).encode()
            },
        ),
    )


async def index(store: Any, *, has_texts: bool = True) -> None:
    while await store.index_step(has_texts=has_texts):
        pass


async def found(store: Any, **filters: Any) -> list[str]:
    """All pages."""
    names: list[str] = []
    token = ""
    while True:
        page = await store.sessions(SessionQuery(page_token=token, **filters))
        names += [session.id for session in page.items]
        token = page.next_page_token
        if not token:
            return names


ALL = [f"s{number}" for number in reversed(range(10))]
CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ALL),
    ({"caller": "user1"}, ["s9", "s7", "s5", "s3", "s1"]),
    ({"caller": "p@example.com"}, ["s6"]),
    ({"caller": "p-user0"}, ["s8", "s6", "s4", "s2", "s0"]),
    ({"caller": "nobody"}, []),
    ({"rule": "rare"}, ["s4"]),
    ({"decision": "deny"}, ["s3"]),
    ({"decision": "allow", "caller": "user0"}, ["s8", "s6", "s4", "s2", "s0"]),
    ({"status": "client_left"}, ["s8"]),
    ({"status": "completed", "rule": "rare"}, ["s4"]),
    ({"model": "llama", "since": START + 7}, ["s9", "s8", "s7"]),
    ({"until": START + 2}, ["s1", "s0"]),
    ({"since": START + 2, "until": START + 4.5}, ["s4", "s3", "s2"]),
    ({"since": START + 100}, []),
    ({"group": "staff", "decision": "deny"}, ["s3"]),
    ({"group": "sales"}, []),
    ({"entity": "EMAIL_ADDRESS"}, ["s5"]),
    ({"entity": "PERSON"}, []),
    ({"entity": "IBAN_CODE"}, ["s9", "s7", "s5", "s3", "s1"]),
    ({"reviewer": "rita"}, ["s5"]),
    ({"reviewer": "Rita R"}, ["s5"]),
    ({"reviewer": "r1"}, ["s5"]),
    ({"text": "number 7"}, ["s7"]),
    ({"text": "ÜBER"}, ALL),
    ({"text": "question two"}, ["s9", "s7", "s5", "s3", "s1"]),
    ({"text": '"number question"'}, []),
    ({"text": '"question number" 4'}, ["s4"]),
    ({"text": '"the answer is for5ty two"'}, ["s5"]),
    ({"text": '"9 the answer"'}, []),
    ({"text": "llama"}, []),
    ({"text": "for7ty", "decision": "deny"}, []),
    ({"id_prefix": "s7"}, ["s7"]),
    ({"id_prefix": "s", "rule": "rare"}, ["s4"]),
]


@pytest.mark.parametrize("few", [2000, 1])
def test_sessions_are_found_by_every_filter_and_by_several(
    place: Any, make: Any, run: Any, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a window of three sessions pages are short, and still lose nothing."""
    monkeypatch.setattr(session_queries, "FEW", few)
    monkeypatch.setattr(search_texts, "FREQUENT", few)
    monkeypatch.setattr(session_queries, "WINDOW", 3 if few == 1 else 20_000)

    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            await index(store)
            for filters, expected in CASES:
                assert await found(store, **filters) == expected, filters
                assert await found(store, page_size=1, **filters) == expected, filters

    run(scenario())


def test_what_is_new_between_two_pages_moves_nothing(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            await index(store)
            first = await store.sessions(SessionQuery(text="question", page_size=4))
            await store.append(
                make.received("s10"), make.released("s10", asked("Another question")), make.ended("s10")
            )
            await index(store)
            rest = await store.sessions(SessionQuery(text="question", page_token=first.next_page_token))
            assert [session.id for session in (*first.items, *rest.items)] == ALL
            with pytest.raises(Unreadable):
                await store.sessions(SessionQuery(text="other", page_token=first.next_page_token))

    run(scenario())


@pytest.mark.parametrize("searched", ["", "...", '"', " ".join(["word"] * 33)])
def test_a_search_for_no_words_or_too_many_is_refused(place: Any, run: Any, searched: str) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            with pytest.raises(Unreadable):
                await store.sessions(SessionQuery(text=searched or "?"))

    run(scenario())


@pytest.mark.parametrize(
    "searched", ["o'clock", "\"o'clock", "NEAR(a b)", "a AND NOT b*", "prompt:a", "\\ % _ a:*", "\x00a"]
)
def test_signs_of_either_query_language_are_words_or_nothing(
    place: Any, make: Any, run: Any, searched: str
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            said = "o'clock near a b and not prompt: a NEAR AND NOT"
            await store.append(make.received("s"), make.released("s", asked(said)), make.ended("s"))
            await index(store)
            assert await found(store, text=searched) == ["s"]

    run(scenario())


def test_a_language_without_blanks_is_searched_by_its_characters(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("s"), make.released("s", asked("東京都の天気")), make.ended("s"))
            await index(store)
            assert await found(store, text="天気") == ["s"]
            assert await found(store, text="気天") == []

    run(scenario())


def test_a_body_of_many_long_words_is_indexed_from_its_beginning(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            long = " ".join(f"{number:064x}" for number in range(40_000))
            drafts = (
                make.received("s"),
                make.released("s", asked("first " + long + " last")),
                make.ended("s"),
            )
            await store.append(*drafts)
            await index(store)
            assert await found(store, text="first") == ["s"]
            assert await found(store, text="last") == []

    run(scenario())


def rows(place: Any, statement: str) -> list[Any]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        found = result.all() if result.returns_rows else []
    engine.dispose()
    return list(found)


def test_the_index_of_a_session_goes_with_its_payloads(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            await index(store)
            assert await found(store, text="number", caller="user1")
        rows(place, "DELETE FROM payloads")
        async with place.store() as store:
            assert await found(store, text="number") == []
            assert await found(store, group="staff") == []
            assert await found(store, reviewer="rita") == []
            assert await found(store, entity="EMAIL_ADDRESS") == ["s5"]
            await store.append(EntryDraft(Kind.EXCHANGE_RECOVERED, "s5", {}))
            await index(store)
            assert await found(store, group="staff") == []
            assert await found(store, entity="EMAIL_ADDRESS") == ["s5"]

    run(scenario())
    assert rows(place, "SELECT * FROM search_sources") == []


def test_what_is_purged_while_it_is_read_for_the_index_never_gets_there(
    place: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    taking = search_index.take

    def take(transaction: Any, step: Any) -> None:
        if step.items:  # the first step of all only empties the index
            transaction.change(delete(payloads))
        taking(transaction, step)

    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            monkeypatch.setattr(search_index, "take", take)
            await index(store)
            assert await found(store, text="number") == []
            assert await found(store, group="staff") == []
            assert await found(store, reviewer="rita") == []
            assert await found(store, entity="EMAIL_ADDRESS") == ["s5"]

    run(scenario())
    assert rows(place, "SELECT * FROM search_sources") == []


def test_the_index_of_a_session_goes_with_its_row(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            await index(store)

    run(scenario())
    rows(place, "DELETE FROM sessions")
    for table in ("search_texts", "search_marks", "search_sources"):
        assert rows(place, f"SELECT * FROM {table}") == []


def test_without_texts_nothing_said_is_in_the_index_and_what_was_there_is_gone(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            await index(store)
            await index(store, has_texts=False)
            assert await found(store, text="number") == []
            assert await found(store, group="staff") == ALL
            await index(store)
            assert await found(store, text="number") == ALL

    run(scenario())


def test_a_session_that_cannot_be_read_keeps_no_other_from_being_found(
    place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            odd = EntryDraft(Kind.HOLD_VOTED, "s1", {"hold": "h"}, {"voter": b"[]"})
            await store.append(make.received("s1"), odd, make.released("s1", asked("one")), make.ended("s1"))
            await store.append(make.received("s2"), make.released("s2", asked("one")), make.ended("s2"))
            await index(store)
            assert await found(store, text="one") == ["s2"]

    run(scenario())


def test_a_step_that_another_process_took_first_is_not_taken_twice(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await fill(store, make, place.clock)
            if place.url.startswith("sqlite"):
                return
            async with place.store(instance="two", migrate=False) as other:
                steps = [store.index_step(has_texts=True), other.index_step(has_texts=True)]
                for step in steps:
                    await step
                await index(other)
                assert await found(store, text="number") == ALL

    run(scenario())
