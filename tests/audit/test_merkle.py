"""The tree that grows from its frontier is the tree of RFC 6962."""

from __future__ import annotations

import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash, node_hash


def naive_root(entries: list[bytes]) -> bytes:
    """RFC 6962 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = 1
    while k * 2 < len(entries):
        k *= 2
    left, right = naive_root(entries[:k]), naive_root(entries[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(entries: list[bytes], frontier: Frontier | None = None) -> Frontier:
    frontier = frontier or Frontier()
    for entry in entries:
        frontier.append(leaf_hash(entry))
    return frontier


ENTRIES = st.lists(st.binary(max_size=8), max_size=70)


@given(ENTRIES)
def test_the_root_is_that_of_the_naive_tree(entries: list[bytes]) -> None:
    assert grown(entries).root() == naive_root(entries)


@given(ENTRIES, st.lists(st.integers(0, 70), max_size=6))
def test_storing_the_frontier_between_batches_changes_nothing(entries: list[bytes], cuts: list[int]) -> None:
    frontier = Frontier()
    edges = [0, *sorted(cuts), len(entries)]
    for start, end in itertools.pairwise(edges):
        grown(entries[start:end], frontier)
        frontier = Frontier.from_bytes(frontier.size, frontier.to_bytes())
    assert (frontier.size, frontier.root()) == (len(entries), naive_root(entries))


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_any_change_of_an_entry_or_of_their_order_changes_the_root(
    entries: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(entries) - 1))
    changed = list(entries)
    changed[index] = data.draw(st.binary(max_size=8).filter(lambda b: b != entries[index]))
    assert grown(changed).root() != grown(entries).root()
    assert grown(entries[:-1]).root() != grown(entries).root()
    swapped = entries[::-1]
    assert (grown(swapped).root() == grown(entries).root()) == (swapped == entries)


def test_the_vectors_of_certificate_transparency() -> None:
    entries = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (
        grown(entries[:1]).root().hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )
    assert (
        grown(entries[:2]).root().hex() == "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
    )
    assert grown(entries).root().hex() == "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"


def test_leaves_and_nodes_are_told_apart() -> None:
    left, right = leaf_hash(b"l"), leaf_hash(b"r")
    assert node_hash(left, right) != leaf_hash(left + right)


@pytest.mark.parametrize(
    ("size", "stored"), [(1, b""), (0, bytes(32)), (3, bytes(32)), (1, bytes(31)), (2, bytes(64)), (-1, b"")]
)
def test_a_frontier_that_does_not_fit_its_size_is_refused(size: int, stored: bytes) -> None:
    with pytest.raises(ValueError, match=r"tree of|32 bytes"):
        Frontier.from_bytes(size, stored)


def test_a_leaf_is_a_hash() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append(b"entry")
