"""Fills a store with sessions that look like traffic: few callers ask most, few requests are denied.

What is recorded of a number is always the same, so that a store that was left half filled is filled on.
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Callable, Iterator

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.core.sessions import SessionQuery
from authz_service.store.sql_store import SqlStore

AT_ONCE = 512  # exchanges in one transaction
ENTRIES_AT_ONCE = 4096  # in a step of the index
VOCABULARY = 20_000
WORDS_SAID = 120
CALLERS = 5_000
_SEED = 7

Progress = Callable[[int], None]
"""Told how many sessions are recorded and indexed."""


def name_of(number: int) -> str:
    """The id of a session."""
    return f"ses_{number:026d}"


def number_of(name: str) -> int:
    """The inverse of `name_of`."""
    return int(name.removeprefix("ses_"))


def exchange(number: int) -> Iterator[EntryDraft]:
    """The entries of one exchange, with about 1.5 KB of text."""
    chance = random.Random(_SEED + number)
    name = name_of(number)
    caller = int(chance.paretovariate(0.6)) % CALLERS
    subject = f"p{caller}"

    def entry(kind: Kind, data: dict[str, Scalar | dict[str, Scalar]], **payloads: bytes) -> EntryDraft:
        return EntryDraft(kind, name, data, payloads, subject)

    identity = {
        "issuer": "https://id.example",
        "subject": f"user{caller}",
        "groups": [f"team{caller % 40}", "staff"],
        "groups_complete": True,
        "person": f"user{caller}@example.com",
    }
    yield entry(
        Kind.REQUEST_RECEIVED,
        {
            "api": "openai.chat",
            "method": "POST",
            "path": "/v1/chat/completions",
            "caller": subject,
            "size": 900,
        },
        caller=json.dumps(identity).encode(),
    )
    is_denied = chance.random() < 0.01
    rule = "no-keys" if is_denied else f"rule{int(chance.paretovariate(1.2)) % 50}"
    found: dict[str, Scalar] = (
        {"PRIVATE_KEY": 1} if is_denied else {"EMAIL_ADDRESS": 1} if chance.random() < 0.2 else {}
    )
    decided: dict[str, Scalar | dict[str, Scalar]] = {
        "effect": "deny" if is_denied else "allow",
        "rule": rule,
        "policy": "0" * 64,
        "findings": found,
    }
    body = json.dumps({"model": "llama", "messages": [{"role": "user", "content": _said(chance)}]}).encode()
    model = f"model{int(chance.paretovariate(1.5)) % 20}"
    if is_denied:
        yield entry(Kind.REQUEST_DECIDED, {**decided, "model": model}, body=body)
        yield entry(Kind.REQUEST_REFUSED, {"code": "request_denied", "status": 403})
        yield entry(Kind.EXCHANGE_ENDED, {"outcome": "denied"})
        return
    yield entry(Kind.REQUEST_DECIDED, {**decided, "model": model})
    yield entry(Kind.REQUEST_RELEASED, {"model": model, "hold": None}, body=body)
    yield entry(Kind.ANSWER_STARTED, {"status": 200, "headers": {}})
    answer = json.dumps({"choices": [{"index": 0, "message": {"content": _said(chance)}}]}).encode()
    yield entry(Kind.ANSWER_RELEASED, {"masked": {}}, body=answer)
    tokens = {"prompt_tokens": 200, "completion_tokens": 180}
    yield entry(Kind.EXCHANGE_ENDED, {"outcome": "completed", **tokens})


async def fill(
    store: SqlStore, count: int, progress: Progress = lambda done: None, *, has_texts: bool = True
) -> int:
    """Have `count` exchanges on record, and indexed; how many there were already."""
    there = await recorded(store)
    for start in range(there, count, AT_ONCE):
        end = min(start + AT_ONCE, count)
        await store.append(*(draft for number in range(start, end) for draft in exchange(number)))
        await _index(store, has_texts=has_texts)
        progress(end)
    await _index(store, has_texts=has_texts)
    return there


async def recorded(store: SqlStore) -> int:
    """How many of the exchanges are on record: they are recorded in the order of their numbers."""
    newest = await store.sessions(SessionQuery(page_size=1))
    return number_of(newest.items[0].id) + 1 if newest.items else 0


async def _index(store: SqlStore, *, has_texts: bool) -> None:
    while await store.index_step(has_texts=has_texts, most=ENTRIES_AT_ONCE):
        pass


def _said(chance: random.Random) -> str:
    """Words by Zipf's law, as people use them, and one that hardly anybody uses."""
    # All at once from a table: drawn one by one they would take as long as recording them.
    said = [_WORDS[at] for at in array("H", chance.randbytes(2 * WORDS_SAID))]
    return " ".join((*said, f"word{int(chance.random() * VOCABULARY)}"))


_WORDS = tuple(f"word{int((1 - at / 65536) ** (-1 / 0.7)) % VOCABULARY}" for at in range(65536))
