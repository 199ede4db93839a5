"""Tiles and bundles have the names and the bytes of tlog-tiles."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.audit.tiles import (
    TileWriter,
    bundle,
    bundle_path,
    hashes_of,
    payloads_path,
    perfect_root,
    tile_path,
    unbundle,
)


def test_names_are_those_of_the_specification() -> None:
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path(3, 0, 8) == "tile/3/000.p/8"
    assert bundle_path(1234067, 1) == "tile/entries/x001/x234/067.p/1"
    assert payloads_path(1000) == "payloads/x001/000"


@pytest.mark.parametrize(("number", "width"), [(-1, 256), (0, 0), (0, 257)])
def test_a_tile_that_cannot_be_has_no_name(number: int, width: int) -> None:
    with pytest.raises(ValueError, match="tile"):
        tile_path(0, number, width)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_gives_back_its_entries(entries: list[bytes]) -> None:
    assert list(unbundle(bundle(entries))) == entries


def test_an_entry_at_the_limit_fits_into_a_bundle_and_a_larger_one_does_not() -> None:
    largest = bytes(65_535)
    assert list(unbundle(bundle([largest, b"next"]))) == [largest, b"next"]
    with pytest.raises(OverflowError):
        bundle([bytes(65_536)])


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.data())
def test_a_bundle_that_was_cut_is_refused_or_has_fewer_entries(
    entries: list[bytes], data: st.DataObject
) -> None:
    whole = bundle(entries)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    found: list[bytes] = []
    with suppress(ValueError):
        for entry in unbundle(cut):
            found.append(entry)  # noqa: PERF402 -- what came before the error counts too
    assert found == entries[: len(found)] != entries


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700, 65_536, 66_000])
def test_the_tiles_of_all_levels_hold_the_tree(size: int) -> None:
    writer, frontier = TileWriter(), Frontier()
    files: dict[str, bytes] = {}
    for number in range(size):
        leaf = leaf_hash(str(number).encode())
        frontier.append(leaf)
        files.update(writer.append(leaf))
    files.update(writer.rest())
    assert len(files) == sum(-(-(size >> 8 * level) // 256) for level in range(8))
    for level in range(3):
        count = size >> 8 * level
        for number in range(-(-count // 256)):
            width = min(256, count - number * 256)
            hashes = hashes_of(files[tile_path(level, number, width)])
            assert len(hashes) == width
            if level:
                below = [hashes_of(files[tile_path(level - 1, number * 256 + i)]) for i in range(width)]
                assert hashes == [perfect_root(tile) for tile in below]
    leaves = [
        h for n in range(-(-size // 256)) for h in hashes_of(files[tile_path(0, n, min(256, size - n * 256))])
    ]
    again = Frontier()
    for leaf in leaves:
        again.append(leaf)
    assert again.root() == frontier.root()


def test_what_is_no_row_of_hashes_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        hashes_of(bytes(33))
    for count in (0, 3):
        with pytest.raises(ValueError, match="power of two"):
            perfect_root([bytes(32)] * count)
