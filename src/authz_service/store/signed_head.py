"""The head as checkpoints are made of it, with a proof that it only adds to an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from authz_service.audit.merkle import Frontier
from authz_service.audit.proofs import consistency_ranges, hash_ranges
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.damage import reading
from authz_service.store.schema import entries, head
from authz_service.store.transaction import Reader

LEAVES_AT_ONCE = 4096
PROOF_SECONDS = 120.0
"""How long reading what was added since the last checkpoint may take."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """`proof` is the consistency proof (RFC 6962 2.1.2) from the tree that was asked about.

    None when there is none: the record has shrunk, or entries are missing. `at` is in microseconds.
    """

    size: int
    root: bytes
    frontier: Frontier
    signature: bytes
    at: int
    proof: tuple[bytes, ...] | None


def signed_head(reader: Reader, since: Frontier | None) -> SignedHead:
    """The committed head; raises `Unavailable` (`record_damaged`) when its frontier does not fit its size."""
    with reading("the record's head"):
        found = reader.read(select(head).where(head.c.id == 1)).one()
        frontier = Frontier.from_bytes(found.size, bytes(found.frontier))
    proof = () if since is None else _proof(reader, since, found.size)
    signature = bytes(found.signature or b"")
    return SignedHead(found.size, bytes(found.root), frontier, signature, reader.now, proof)


def frontier_at(reader: Reader, size: int) -> Frontier | None:
    """The right edge of the tree over the first `size` leaf hashes; None when some are missing."""
    frontier = Frontier()
    try:
        for leaf in _leaves(reader, 0, size):
            frontier.append(leaf)
    except ValueError:
        return None
    return frontier if frontier.size == size else None


def _proof(reader: Reader, since: Frontier, size: int) -> tuple[bytes, ...] | None:
    if since.size > size:
        return None
    try:
        leaves = _leaves(reader, since.size, size)
        return tuple(hash_ranges(consistency_ranges(since.size, size), leaves, before=since))
    except ValueError:
        return None


def _leaves(reader: Reader, after: int, last: int) -> Iterator[bytes]:
    columns = select(entries.c.seq, entries.c.leaf).order_by(entries.c.seq).limit(LEAVES_AT_ONCE)
    expected = after + 1
    while page := reader.read(columns.where(entries.c.seq > after, entries.c.seq <= last)).all():
        for row in page:
            if row.seq != expected:
                raise ValueError(f"entry {expected} is missing")
            expected += 1
            yield as_bytes(row.leaf)
        after = page[-1].seq
