"""What tests of forgetting share: sessions to forget, an order to do it, and rows that are left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import create_engine, text

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.audit.retention import Retention
from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.forgetting import Order, Purged, PurgeRequest

DAY = 86_400.0
ORDER = Order("olga", "asked for it")
ALICE = ("https://issuer.example", "alice")


def rows(place: Any, query: str) -> list[Any]:
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = connection.execute(text(query)).all()
    engine.dispose()
    return list(found)


def require_whole(place: Any) -> None:
    """The tree over the stored leaves is that of the head, and every entry that is there has its leaf."""
    tree = Frontier()
    for row in rows(place, "SELECT seq, body, leaf FROM entries ORDER BY seq"):
        assert not row.body or leaf_hash(bytes(row.body)) == bytes(row.leaf)
        tree.append(bytes(row.leaf))
    (size, root) = rows(place, "SELECT size, root FROM head")[0]
    assert (size, bytes(root)) == (tree.size, tree.root())


def exchange(make: Any, session: str, subject: str = "alice", *, end: bool = True) -> list[EntryDraft]:
    name = f"p-{subject}"
    drafts = [
        replace(make.received(session, subject), subject=name),
        make.decided(session),
        EntryDraft(Kind.REQUEST_RELEASED, session, {}, {"body": f"prompt of {subject}".encode()}, name),
        EntryDraft(Kind.ANSWER_RELEASED, session, {}, {"body": f"answer to {subject}".encode()}, name),
    ]
    return [*drafts, make.ended(session)] if end else drafts


def request(place: Any, days: float = 90, of: Retention = Retention.PAYLOADS) -> PurgeRequest:
    return PurgeRequest(of, round((place.clock.time - days * DAY) * 1_000_000), f"record.keep.{of}: {days}d")


async def purge_all(store: Any, what: PurgeRequest) -> Purged:
    total = Purged(has_more=True)
    while total.has_more:
        total += await store.forgetting.purge(what)
    return total


def commented(hold: str, who: str, kind: ActKind = ActKind.COMMENT) -> ActDraft:
    identity = ("https://issuer.example", who)
    return ActDraft(hold, kind, identity, identity, who.title(), "looked at it")
