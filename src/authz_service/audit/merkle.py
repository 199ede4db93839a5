"""The Merkle tree of RFC 6962 over the entries, grown at its right edge from a frontier.

The frontier of a tree of n leaves has one hash for each bit that is set in n: the roots of its
perfect subtrees, the largest first (RFC 6962 2.1 splits at the largest power of two below n, which
is this very decomposition). From it leaves can be appended and the root told, without any leaf.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 2.1: SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree of `size` leaves."""

    __slots__ = ("_nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        """`nodes`, the largest subtree first; raises `ValueError` when they do not fit `size`."""
        self.size = size
        self._nodes = list(nodes)
        if size < 0 or len(self._nodes) != size.bit_count():
            raise ValueError(f"a tree of {size} entries does not have {len(self._nodes)} subtrees")
        for node in self._nodes:
            if len(node) != HASH_BYTES:
                raise ValueError(f"a hash has {HASH_BYTES} bytes")

    @classmethod
    def from_bytes(cls, size: int, stored: bytes) -> Frontier:
        """The inverse of `to_bytes`; raises `ValueError` when the bytes do not fit `size`."""
        return cls(size, [stored[i : i + HASH_BYTES] for i in range(0, len(stored), HASH_BYTES)])

    def to_bytes(self) -> bytes:
        """All hashes, the largest subtree first."""
        return b"".join(self._nodes)

    def append(self, leaf: bytes, *, level: int = 0) -> None:
        """Add the next leaf, given by its hash; on average one more hash is computed.

        With `level` it is the root over the next 2^level leaves, of which the size must be a multiple.
        """
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a hash has {HASH_BYTES} bytes")
        if self.size & ((1 << level) - 1):
            raise ValueError(f"a subtree of {1 << level} leaves does not fit behind {self.size}")
        node, bits = leaf, self.size >> level
        while bits & 1:
            node = node_hash(self._nodes.pop(), node)
            bits >>= 1
        self._nodes.append(node)
        self.size += 1 << level

    def root(self) -> bytes:
        """The Merkle tree hash over all leaves; that of no leaves is SHA-256 of nothing."""
        if not self._nodes:
            return EMPTY_ROOT
        *larger, root = self._nodes
        for node in reversed(larger):
            root = node_hash(node, root)
        return root
