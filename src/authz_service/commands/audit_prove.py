"""A proof that one entry is in the record: what it takes to show it without showing anything else."""

from __future__ import annotations

import base64

from authz_service.audit.checkpoint import Checkpoint, note
from authz_service.audit.proofs import hash_ranges, inclusion_ranges
from authz_service.errors import Misconfigured, NotFound
from authz_service.store.record_reader import RecordReader

FORMAT = "c2sp.org/tlog-proof@v1"


def prove(reader: RecordReader, sequence: int, *, name: str) -> str:
    """The entry, its inclusion proof (RFC 6962 2.1.1) and the signed checkpoint, as a C2SP tlog-proof.

    Raises `NotFound` for an entry that is not there, or was purged, and `Misconfigured` when others are
    missing.
    """
    head = reader.head()
    rows = next(reader.pages(sequence, sequence), []) if 1 <= sequence <= head.size else []
    if not rows:
        raise NotFound(f"there is no entry {sequence}; the last one is {head.size}")
    if not rows[0].body:
        raise NotFound(
            f"entry {sequence} was purged: only its hash is left, which a proof shows nothing with"
        )
    ranges = inclusion_ranges(sequence - 1, head.size)
    try:
        proof = hash_ranges(ranges, reader.leaves(1, head.size))
    except ValueError:
        raise Misconfigured("entries are missing, so there is no tree; run: authz audit verify") from None
    checkpoint = note(Checkpoint(name, head.size, bytes(head.root)), name, bytes(head.signature))
    lines = [FORMAT, f"extra {_text(bytes(rows[0].body))}", f"index {sequence - 1}", *map(_text, proof)]
    return "\n".join([*lines, "", checkpoint])


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
