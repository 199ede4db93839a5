"""From which sessions a purge may take nothing yet: under way, kept, or with what waits for people."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, text

from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import Retention
from authz_service.core.acts import Review
from authz_service.core.forgetting import PurgeRequest
from authz_service.store.grant_queries import in_force
from authz_service.store.kept_people import KeptPeople
from authz_service.store.schema import IS_OPEN, grant_uses, grants, holds, sessions
from authz_service.store.transaction import Reader


def standing_sessions(
    reader: Reader, request: PurgeRequest, forgotten: Forgotten, people: KeptPeople, names: Sequence[str]
) -> tuple[set[str], set[str]]:
    """Those that there are, and those of them from which nothing may be taken yet."""
    if not names:
        return set(), set()
    columns = (sessions.c.id, sessions.c.caller, sessions.c.ended_at)
    there: set[str] = set()
    standing: set[str] = set()
    for row in reader.read(select(*columns).where(sessions.c.id.in_(names))).all():
        there.add(row.id)
        has_ended = isinstance(row.ended_at, int) and row.ended_at < request.before
        if not has_ended or forgotten.is_kept(row.id, row.caller):
            standing.add(row.id)
    standing |= _held(reader, sorted(there - standing), request.retention)
    return there, standing | people.sessions_of(sorted(there - standing))


def _held(reader: Reader, names: Sequence[str], retention: Retention) -> set[str]:
    """Those of which a request may still be released, its release be reviewed, or a grant of it be used.

    The entry of a use stays as long as its grant: how often that was used is derived from it.
    """
    if not names:
        return set()
    # A query for each reason, each from an index, which SQLite uses for these very words: holds have none by
    # session, and there may be many.
    theirs = holds.c.session.in_(names)
    reasons = [
        select(holds.c.session).where(text(IS_OPEN), theirs),
        select(holds.c.session).where(text(f"review = '{Review.DUE.value}'"), theirs),
        select(holds.c.session).join(grants, grants.c.hold == holds.c.id).where(in_force(reader.now), theirs),
    ]
    if retention is Retention.ENTRIES:
        reasons.append(select(grant_uses.c.session).where(grant_uses.c.session.in_(names)))
    return {name for reason in reasons for name in reader.read(reason).scalars()}
