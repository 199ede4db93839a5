"""Revocations, what restores them, and the kinds of entries on record."""

from __future__ import annotations

from typing import Any

from sqlalchemy import create_engine, select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import decode
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.servers.review_tokens import _entry
from authz_service.store.schema import entries
from authz_service.view.caller import Caller

ISSUER = "https://issuer.example"
ALICE = Revoked(ISSUER, RevokedBy.SUBJECT, "alice")

OLGA = Caller(ISSUER, "olga", 0.0)


def revocation(what: Revoked = ALICE, until: float | None = None, reason: str = "left") -> Revocation:
    return Revocation(what, until, reason, "olga", 0.0)


async def restore(store: Any, what: Revoked) -> bool:
    return bool(await store.restore(what, _entry(Kind.TOKEN_RESTORED, revocation(what), OLGA)))


def kinds(url: str) -> list[str]:
    """All that is on record."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            bodies = connection.execute(select(entries.c.body).order_by(entries.c.seq)).scalars().all()
    finally:
        engine.dispose()
    return [decode(bytes(body)).kind for body in bodies]
