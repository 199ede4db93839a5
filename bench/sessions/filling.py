"""Fills a store with sessions that look like traffic: few callers ask most, few requests are denied."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from authz_service.audit.draft import EntryDraft, Kind, Scalar
from authz_service.store.sql_store import SqlStore

AT_ONCE = 64  # exchanges in one call
VOCABULARY = 20_000
WORDS_SAID = 120


def name_of(number: int) -> str:
    """The id of a session."""
    return f"ses_{number:026d}"


def exchange(number: int, chance: random.Random) -> Iterator[EntryDraft]:
    """The entries of one exchange, with about 1.5 KB of text."""
    name = name_of(number)
    caller = int(chance.paretovariate(0.6)) % 5000
    identity = {
        "issuer": "https://id.example",
        "subject": f"user{caller}",
        "groups": [f"team{caller % 40}", "staff"],
        "groups_complete": True,
        "person": f"user{caller}@example.com",
    }
    yield EntryDraft(
        Kind.REQUEST_RECEIVED,
        name,
        {
            "api": "openai.chat",
            "method": "POST",
            "path": "/v1/chat/completions",
            "caller": f"p{caller}",
            "size": 900,
        },
        {"caller": json.dumps(identity).encode()},
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
        yield EntryDraft(Kind.REQUEST_DECIDED, name, {**decided, "model": model}, {"body": body})
        yield EntryDraft(Kind.REQUEST_REFUSED, name, {"code": "request_denied", "status": 403})
        yield EntryDraft(Kind.EXCHANGE_ENDED, name, {"outcome": "denied"})
        return
    yield EntryDraft(Kind.REQUEST_DECIDED, name, {**decided, "model": model})
    yield EntryDraft(Kind.REQUEST_RELEASED, name, {"model": model, "hold": None}, {"body": body})
    yield EntryDraft(Kind.ANSWER_STARTED, name, {"status": 200, "headers": {}})
    answer = json.dumps({"choices": [{"index": 0, "message": {"content": _said(chance)}}]}).encode()
    yield EntryDraft(Kind.ANSWER_RELEASED, name, {"masked": {}}, {"body": answer})
    tokens = {"prompt_tokens": 200, "completion_tokens": 180}
    yield EntryDraft(Kind.EXCHANGE_ENDED, name, {"outcome": "completed", **tokens})


async def fill(store: SqlStore, count: int, *, seed: int = 7) -> None:
    """Put `count` exchanges on record, and index them."""
    chance = random.Random(seed)
    for start in range(0, count, AT_ONCE):
        drafts = [
            draft
            for number in range(start, min(start + AT_ONCE, count))
            for draft in exchange(number, chance)
        ]
        await store.append(*drafts)
    while await store.index_step(has_texts=True):
        pass


def _said(chance: random.Random) -> str:
    """Words by Zipf's law, as people use them; `word0` is in nearly every text."""
    return " ".join(f"word{int(chance.paretovariate(0.7)) % VOCABULARY}" for _ in range(WORDS_SAID))
