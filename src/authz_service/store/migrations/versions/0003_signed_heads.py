"""The signature of the head, and the leaf hash of each entry."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

AT_ONCE = 1000


def upgrade() -> None:
    """Add both columns, and compute the hashes of the entries that are there."""
    op.add_column("entries", sa.Column("leaf", sa.LargeBinary))
    op.add_column("head", sa.Column("signature", sa.LargeBinary))
    connection = op.get_bind()
    entries = sa.table("entries", sa.column("seq"), sa.column("body"), sa.column("leaf"))
    page = sa.select(entries.c.seq, entries.c.body).order_by(entries.c.seq).limit(AT_ONCE)
    fill = sa.update(entries).where(entries.c.seq == sa.bindparam("of")).values(leaf=sa.bindparam("hash"))
    after = 0
    while rows := connection.execute(page.where(entries.c.seq > after)).all():
        # RFC 6962 2.1: the hash of a leaf.
        hashed = [{"of": seq, "hash": hashlib.sha256(b"\x00" + bytes(body)).digest()} for seq, body in rows]
        connection.execute(fill, hashed)
        after = rows[-1].seq
