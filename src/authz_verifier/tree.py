"""The Merkle tree of RFC 6962: hashes of leaves and nodes, roots, and proofs of inclusion."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def is_included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for node in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(node, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, node)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


class Tree:
    """The right edge of a growing RFC 6962 tree: the roots of its perfect subtrees, the largest first."""

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size, self.nodes = size, list(nodes)

    def copy(self) -> Tree:
        """One that grows apart."""
        return Tree(self.size, self.nodes)

    def append(self, node: bytes, level: int = 0) -> None:
        """Add a leaf, or the root of 2^level leaves where the size is a multiple of that."""
        bits = self.size >> level
        self.size += 1 << level
        while bits & 1:
            node = node_hash(self.nodes.pop(), node)
            bits >>= 1
        self.nodes.append(node)

    def root(self) -> bytes:
        """The tree hash over all leaves."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root


EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def perfect_root(row: list[bytes]) -> bytes:
    """The root over as many hashes as a power of two."""
    sha256 = hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\x01" + row[i] + row[i + 1]).digest() for i in range(0, len(row), 2)]
    return row[0]


def grow(tree: Tree, leaves: list[bytes], root: bytes) -> None:
    if root:
        tree.append(root, level=8)
    else:
        for leaf in leaves:
            tree.append(leaf)
