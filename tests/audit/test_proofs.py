"""Inclusion and consistency proofs are those of RFC 6962, and convince only of what is true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree, verify_inclusion  # type: ignore[import-untyped]  # it has no types

from authz_service.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash
from authz_service.audit.proofs import (
    consistency_ranges,
    hash_ranges,
    inclusion_ranges,
    is_consistent,
    is_included,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(140)]
SIZES = st.integers(1, len(LEAVES))


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word, over leaf hashes."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY_ROOT
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962 2.1.2, word for word."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def consistency(old: int, new: int, *, from_frontier: bool = False) -> list[bytes]:
    ranges = consistency_ranges(old, new)
    if not from_frontier:
        return hash_ranges(ranges, LEAVES[:new])
    frontier = Frontier()
    for leaf in LEAVES[:old]:
        frontier.append(leaf)
    return hash_ranges(ranges, LEAVES[old:new], before=frontier)


@given(SIZES, st.data())
def test_an_inclusion_proof_is_that_of_the_specification_and_convinces(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = hash_ranges(inclusion_ranges(index, size), LEAVES[:size])
    assert proof == naive_path(index, LEAVES[:size])
    assert is_included(LEAVES[index], index, size, proof, naive_root(LEAVES[:size]))


@given(SIZES, st.data())
def test_a_consistency_proof_is_that_of_the_specification_from_leaves_or_frontier(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency(old, new)
    assert proof == naive_subproof(old, LEAVES[:new])
    assert proof == consistency(old, new, from_frontier=True)
    assert is_consistent(old, naive_root(LEAVES[:old]), new, naive_root(LEAVES[:new]), proof)


@given(SIZES, st.data())
def test_an_inclusion_proof_convinces_of_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = hash_ranges(inclusion_ranges(index, size), LEAVES[:size])
    root = naive_root(LEAVES[:size])
    other = data.draw(st.integers(0, size).filter(lambda number: number != index))
    assert not is_included(LEAVES[index], other, size, proof, root)
    assert not is_included(leaf_hash(b"another"), index, size, proof, root)
    assert not is_included(LEAVES[index], index, size, [*proof, bytes(32)], root)
    assert not is_included(LEAVES[index], index, size, proof, bytes(32))
    for place in range(len(proof)):
        assert not is_included(LEAVES[index], index, size, [*proof[:place], *proof[place + 1 :]], root)
        changed = [*proof[:place], bytes(32), *proof[place + 1 :]]
        assert not is_included(LEAVES[index], index, size, changed, root)


@given(SIZES, st.data())
def test_a_consistency_proof_convinces_of_no_rewritten_or_shorter_log(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new))
    proof = consistency(old, new)
    old_root, new_root = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    rewritten = list(LEAVES[:new])
    rewritten[data.draw(st.integers(0, old - 1))] = leaf_hash(b"rewritten")
    assert not is_consistent(old, old_root, new, naive_root(rewritten), proof)
    assert not is_consistent(old, naive_root(rewritten[:old]), new, new_root, proof)
    rewritten_proof = naive_subproof(old, rewritten)
    assert not is_consistent(old, old_root, new, naive_root(rewritten), rewritten_proof)
    assert not is_consistent(new, new_root, old, old_root, proof) or new == old
    assert not is_consistent(old, old_root, new, new_root, [*proof, bytes(32)])
    for place in range(len(proof)):
        changed = [*proof[:place], bytes(32), *proof[place + 1 :]]
        assert not is_consistent(old, old_root, new, new_root, changed)


@given(st.integers(1, 40), st.data())
def test_an_independent_implementation_agrees(new: int, data: st.DataObject) -> None:
    entries = [str(number).encode() for number in range(new)]
    old, index = data.draw(st.integers(1, new)), data.draw(st.integers(0, new - 1))
    theirs = InmemoryTree.init_from_entries(entries, algorithm="sha256")
    root = theirs.get_root()
    ours = hash_ranges(inclusion_ranges(index, new), LEAVES[:new])
    assert set(theirs.prove_inclusion(index + 1).path) == {LEAVES[index], *ours}
    assert is_included(LEAVES[index], index, new, ours, root)
    assert is_consistent(old, theirs.get_root(old), new, root, consistency(old, new))
    verify_inclusion(LEAVES[index], naive_root(LEAVES[:new]), theirs.prove_inclusion(index + 1))


def test_an_empty_log_is_the_beginning_of_every_log() -> None:
    root = naive_root(LEAVES[:7])
    assert consistency_ranges(0, 7) == []
    assert is_consistent(0, EMPTY_ROOT, 7, root, [])
    assert not is_consistent(0, root, 7, root, [])
    assert not is_consistent(0, EMPTY_ROOT, 7, root, [root])
    assert is_consistent(7, root, 7, root, [])
    assert not is_consistent(7, EMPTY_ROOT, 7, root, [])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_a_log_does_not_shrink(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        consistency_ranges(old, new)
    assert not is_consistent(old, bytes(32), new, bytes(32), [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_what_is_not_in_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="has no leaf"):
        inclusion_ranges(index, size)
    assert not is_included(LEAVES[0], index, size, [], LEAVES[0])


def test_a_proof_is_refused_when_the_leaves_are_not_those_that_it_needs() -> None:
    with pytest.raises(ValueError, match="end before"):
        hash_ranges(consistency_ranges(3, 9), LEAVES[:8])
    with pytest.raises(ValueError, match="no subtree"):
        hash_ranges([(1, 3)], LEAVES[4:9], before=Frontier(4, [bytes(32)]))
