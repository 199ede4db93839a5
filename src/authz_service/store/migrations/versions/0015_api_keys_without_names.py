"""API keys by the numbers of their entries: whose they are lies with the payloads, nowhere in clear."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_COLUMNS = "id, hash, created_at, expires_at, revoked_at, replaces, seq"
_ABOUT = ("api_key.created", "api_key.rotated", "api_key.revoked")


def upgrade() -> None:
    """All stay what they are; their names become the pseudonyms that their entries have."""
    connection = op.get_bind()
    rows = [dict(row._mapping) for row in connection.execute(sa.text(f"SELECT {_COLUMNS} FROM api_keys"))]  # noqa: S608 - a constant
    told = _told(connection) if rows else {}
    op.drop_table("api_keys")
    table = op.create_table(
        "api_keys",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.Column("replaces", sa.String),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
    )
    op.create_index("api_keys_hash", "api_keys", ["hash"], unique=True)
    op.create_index("api_keys_name", "api_keys", ["name"])
    op.create_index("api_keys_replaces", "api_keys", ["replaces"], unique=True)
    op.create_index("api_keys_seq", "api_keys", ["seq"])
    if rows:
        unknown = {"name": "", "made": 0, "ended": None}
        op.bulk_insert(table, [row | unknown | told.get(row["id"], {}) for row in rows])


def _told(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """What the entries about keys say, by the key's id. They belong to no session."""
    found: dict[str, dict[str, Any]] = {}
    query = "SELECT seq, body FROM entries WHERE session IS NULL ORDER BY seq"
    for seq, body in connection.execute(sa.text(query)):
        document = json.loads(bytes(body)) if body else {}
        if document.get("kind") not in _ABOUT:
            continue
        key = found.setdefault(document["data"]["key"], {})
        if document["kind"] == "api_key.revoked":
            key["ended"] = seq
        else:
            key |= {"made": seq, "name": document["data"].get("subject", "")}
    return found
