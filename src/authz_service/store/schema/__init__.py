"""The tables. Times are microseconds since the epoch.

`entries` are only ever inserted into, but for bytes that go when their time is over. On PostgreSQL alone
`sessions_prefix` and `holds_prefix` are there too (revision 0019), for `prefixes`: SQLite's primary keys do.
Each file has those of one subject; `base` is what all have in common.
"""

from __future__ import annotations

from authz_service.store.schema.base import metadata
from authz_service.store.schema.credential_tables import api_keys, revocations, used_once
from authz_service.store.schema.grant_tables import grant_acts, grant_uses, grants
from authz_service.store.schema.hold_tables import IS_OPEN, TO_REVIEW, hold_acts, holds, votes
from authz_service.store.schema.notification_tables import outbox
from authz_service.store.schema.record_tables import entries, head, payloads
from authz_service.store.schema.session_tables import kept_results, session_budgets, sessions

__all__ = (
    "IS_OPEN",
    "REVISIONS",
    "TO_REVIEW",
    "api_keys",
    "entries",
    "grant_acts",
    "grant_uses",
    "grants",
    "head",
    "hold_acts",
    "holds",
    "kept_results",
    "metadata",
    "outbox",
    "payloads",
    "revocations",
    "session_budgets",
    "sessions",
    "used_once",
    "votes",
)

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
    "0014",
    "0015",
    "0016",
    "0017",
    "0018",
    "0019",
    "0020",
    "0021",
    "0022",
)
"""Every revision under migrations/versions, oldest first; a database at the last one is current."""
