"""A line of the file of checkpoints: JSON with the signed note, and the frontier that makes its root.

The frontier lets the record be compared from there on without reading what came before. It needs no
signature: either it makes the root that is signed, or it is not believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from authz_service.audit.checkpoint import BadNote, Checkpoint, Note, parse_note
from authz_service.audit.merkle import HASH_BYTES, Frontier


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A checkpoint as it was kept; whether its signature is good is for the reader to say."""

    text: str
    note: Note
    checkpoint: Checkpoint
    frontier: Frontier | None


def line(text: str, *, at: str, frontier: Frontier) -> bytes:
    """The line for a signed note, taken at a time (RFC 3339)."""
    stored = frontier.to_bytes()
    nodes = [stored[i : i + HASH_BYTES].hex() for i in range(0, len(stored), HASH_BYTES)]
    return orjson.dumps({"at": at, "checkpoint": text, "frontier": nodes}) + b"\n"


def read_line(stored: bytes) -> KeptCheckpoint:
    """The inverse of `line`; raises `BadNote`. A frontier that does not make the root is left out."""
    try:
        document = orjson.loads(stored)
        text = document["checkpoint"]
        if not isinstance(text, str):
            raise BadNote("no checkpoint")
        nodes = [bytes.fromhex(node) for node in document.get("frontier", ())]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise BadNote("no line with a checkpoint") from None
    return kept(text, nodes)


def kept(text: str, nodes: list[bytes]) -> KeptCheckpoint:
    """A signed note, and the hashes of its frontier if they are known; raises `BadNote`."""
    note = parse_note(text)
    checkpoint = note.checkpoint
    frontier = None
    try:
        grown = Frontier(checkpoint.size, nodes)
        frontier = grown if grown.root() == checkpoint.root else None
    except ValueError:
        pass
    return KeptCheckpoint(text, note, checkpoint, frontier)
