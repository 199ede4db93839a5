"""Inclusion and consistency proofs of RFC 6962, told as ranges of leaves, and how they are checked.

A proof is a list of hashes of subtrees. Which ones is arithmetic; their hashes come from the leaves,
or, for those that lie left of a known frontier, from the frontier alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from authz_service.audit.merkle import EMPTY_ROOT, Frontier, node_hash

Range = tuple[int, int]
"""The leaves from the first number up to, and without, the second; numbered from 0."""


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """What PATH(index, D[size]) of RFC 6962 2.1.1 consists of, the leaf's own sibling first."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    return _path(index, 0, size)


def consistency_ranges(old: int, new: int) -> list[Range]:
    """What PROOF(old, D[new]) of RFC 6962 2.1.2 consists of; nothing between equal trees, or from none.

    Each range lies wholly before `old` or wholly after it, and those before are subtrees of its frontier.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves cannot follow one of {old}")
    return [] if old in (0, new) else _subproof(old, 0, new, is_whole=True)


def hash_ranges(
    ranges: Sequence[Range], leaves: Iterable[bytes], *, before: Frontier | None = None
) -> list[bytes]:
    """The tree hash over each of the ranges, from one pass over the leaf hashes.

    With `before` the leaves begin behind that frontier, and ranges before it must be subtrees of it.
    Raises `ValueError` when a range is neither there nor among the leaves.
    """
    start = 0 if before is None else before.size
    known = {} if before is None else _subtrees(before)
    wanted = sorted((r for r in ranges if r not in known), reverse=True)
    if wanted and wanted[-1][0] < start:
        raise ValueError("a range is no subtree of the frontier")
    growing = Frontier()
    for number, leaf in enumerate(leaves, start):
        if not wanted:
            break
        first, end = wanted[-1]
        if number >= first:
            growing.append(leaf)
        if number + 1 == end:
            known[wanted.pop()] = growing.root()
            growing = Frontier()
    if wanted:
        raise ValueError("the leaves end before the proof does")
    return [known[r] for r in ranges]


def is_included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that the tree with `root` has this leaf hash at `index` (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for node in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(node, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, node)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that the new tree only adds to the old one (RFC 9162 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new:
        return old == 0 and old_root == EMPTY_ROOT and not proof
    # A complete old tree is a subtree of the new one, and the proof need not repeat its root.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    before = after = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            after = node_hash(after, node)
        position, last = position >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _path(index: int, start: int, end: int) -> list[Range]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle), (middle, end)]
    return [*_path(index, middle, end), (start, middle)]


def _subproof(old: int, start: int, end: int, *, is_whole: bool) -> list[Range]:
    """SUBPROOF(old - start, D[start:end], is_whole), where `old` counts from the first leaf of all."""
    if old == end:
        return [] if is_whole else [(start, end)]
    middle = start + _split(end - start)
    if old <= middle:
        return [*_subproof(old, start, middle, is_whole=is_whole), (middle, end)]
    return [*_subproof(old, middle, end, is_whole=False), (start, middle)]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _subtrees(frontier: Frontier) -> dict[Range, bytes]:
    found: dict[Range, bytes] = {}
    start = 0
    stored = frontier.to_bytes()
    for index, bit in enumerate(
        b for b in reversed(range(frontier.size.bit_length())) if frontier.size >> b & 1
    ):
        found[(start, start + (1 << bit))] = stored[32 * index : 32 * index + 32]
        start += 1 << bit
    return found
