"""What tests of a record that was forgotten of share: sessions on it, purges, and its verification."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import create_engine, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.core.forgetting import Order, PurgeRequest
from authz_service.core.holds import Verdict
from authz_service.core.stored_holds import HoldLimits
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
DAY = 86_400.0
ORDER = Order("olga", "asked for it")


def verify(place: Any) -> list[str]:
    """What is wrong, in words; the keys are those of the place."""
    keyring = place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            report = verify_store(reader, keys=[KEY.vkey], kept=[])
    finally:
        keyring.close()
    return [f"{wrong.record}: {wrong.what}" for wrong in report.wrong]


def change(place: Any, statement: str) -> None:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        assert connection.execute(text(statement)).rowcount > 0
    engine.dispose()


async def fill(place: Any, make: Any, store: Any) -> None:
    """Alice and Bob each ask, and wait for the other, who rejects."""
    for name, other in (("alice", "bob"), ("bob", "alice")):
        draft = make.hold(f"held {name}", caller=make.caller(name))
        entries = [of(place, entry, name) for entry in draft.entries]
        hold = (await store.open_hold(replace(draft, entries=tuple(entries)), make.limits)).hold
        await store.vote(make.ballot(hold, other, Verdict.REJECT), HoldLimits())
        ended = make.ended(f"held {name}")
        answered = of(place, EntryDraft(Kind.ANSWER_RELEASED, f"asked {name}", {}, {"body": b"answer"}), name)
        asked = of(place, make.received(f"asked {name}", name), name)
        await store.append(ended, asked, make.decided(f"asked {name}"), answered, make.ended(f"asked {name}"))


def of(place: Any, entry: EntryDraft, name: str) -> EntryDraft:
    pseudonym = place.pseudonym(("https://issuer.example", name))
    data = {**entry.data, "caller": pseudonym} if "caller" in entry.data else entry.data
    return replace(entry, subject=pseudonym, data=data)


async def purge(place: Any, store: Any, retention: Retention, days: float) -> None:
    before = round((place.clock.time - days * DAY) * 1_000_000)
    while (await store.forgetting.purge(PurgeRequest(retention, before, "by hand"))).has_more:
        pass


def hex_of(place: Any) -> str:
    return "encode(digest, 'hex')" if place.url.startswith("postgresql") else "lower(hex(digest))"
