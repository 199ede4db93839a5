"""What tests of names in clear share: who is erased, and what of them stands in any table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import MetaData, create_engine, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.view.caller import Caller

ISSUER = "https://issuer.example"
ZELDA = Caller(ISSUER, "zelda-q7", 0.0, claims={"mail": "zelda-q7@example.com"})


def in_clear(place: Any, name: str) -> list[str]:
    """The rows of all tables that have these bytes."""
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    found = MetaData()
    with engine.connect() as connection:
        found.reflect(connection)
        rows = [
            f"{table.name}: {row}"
            for table in found.sorted_tables
            for row in connection.execute(select(table))
        ]
    engine.dispose()
    return [row for row in rows if name in row]


async def asked(place: Any, make: Any, store: Any, session: str, caller: Caller = ZELDA) -> None:
    pseudonym = place.pseudonym(caller.identity)
    data = {"api": "openai", "method": "POST", "path": "/v1/x", "caller": pseudonym}
    received = EntryDraft(Kind.REQUEST_RECEIVED, session, data, {"caller": caller_payload(caller)})
    drafts = (received, make.released(session, b"zelda-q7 asks"), make.ended(session))
    await store.append(*(replace(draft, subject=pseudonym) for draft in drafts))
