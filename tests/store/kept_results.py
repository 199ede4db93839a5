"""Kept results, their rows, and what a verification says of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, text
from tests.store.forgotten import of

from authz_service.audit.draft import EntryDraft, Kind

NOBODY_SAYS_SO = "has a row, and no entry says so"
NO_ROW = "has an entry, and no row"


def kept(session: str, owner: str, *names: str) -> EntryDraft:
    return EntryDraft(Kind.ANSWER_KEPT, session, {"caller": owner, "names": [*names]})


def rows(place: Any) -> set[tuple[str, str]]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT name, owner FROM kept_results")).all()
    engine.dispose()
    return {(row.name, row.owner) for row in found}


async def asked(place: Any, make: Any, store: Any, session: str, who: str, *names: str) -> str:
    """An exchange whose answer named these; the pseudonym of who asked."""
    owner = str(place.pseudonym(make.caller(who).identity))
    received = of(place, make.received(session, who), who)
    await store.append(received, kept(session, owner, *names), make.ended(session))
    return owner
