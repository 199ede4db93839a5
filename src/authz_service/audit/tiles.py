"""The files of an export as C2SP tlog-tiles has them: their names, and what is in them.

A tile has 256 hashes of one level; the last one of a level may have fewer, and says so in its name.
A bundle has the entries of a tile of level 0, each after its length in two bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from authz_service.audit.merkle import HASH_BYTES, node_hash

WIDTH = 256
"""Hashes of a whole tile, which spans eight levels: each hash of the next tile is the root of a whole one."""


def tile_path(level: int, number: int, width: int = WIDTH) -> str:
    """Where the hashes of a tile are, as in `tile/0/x001/234.p/17`."""
    return f"tile/{level}/{_numbered(number)}{_part(width)}"


def bundle_path(number: int, width: int = WIDTH) -> str:
    """Where the entries of a tile are, as in `tile/entries/x001/234`."""
    return f"tile/entries/{_numbered(number)}{_part(width)}"


def payloads_path(number: int) -> str:
    """Where the payloads of a bundle's entries are; a place of our own, beside what the tiles have."""
    return f"payloads/{_numbered(number)}"


def bundle(entries: Sequence[bytes]) -> bytes:
    """The entries of one bundle; each has at most 65,535 bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(stored: bytes) -> Iterator[bytes]:
    """The inverse of `bundle`; raises `ValueError` for what was cut."""
    place = 0
    while place < len(stored):
        end = place + 2 + int.from_bytes(stored[place : place + 2], "big")
        if end > len(stored) or place + 2 > len(stored):
            raise ValueError("the last entry of the bundle is cut")
        yield stored[place + 2 : end]
        place = end


class TileWriter:
    """Turns leaf hashes, in order, into tiles of all levels, each given out as soon as it is full."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = []
        self._full: list[int] = []

    def append(self, leaf: bytes) -> list[tuple[str, bytes]]:
        """The files that this leaf completes: name and content."""
        done: list[tuple[str, bytes]] = []
        level, node = 0, leaf
        while True:
            if level == len(self._levels):
                self._levels.append([])
                self._full.append(0)
            hashes = self._levels[level]
            hashes.append(node)
            if len(hashes) < WIDTH:
                return done
            done.append((tile_path(level, self._full[level]), b"".join(hashes)))
            node = perfect_root(hashes)
            self._full[level] += 1
            hashes.clear()
            level += 1

    def rest(self) -> list[tuple[str, bytes]]:
        """The last file of each level, those that are not full."""
        return [
            (tile_path(level, full, len(hashes)), b"".join(hashes))
            for level, (hashes, full) in enumerate(zip(self._levels, self._full, strict=True))
            if hashes
        ]


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root of the subtree over hashes of one level, as many as a power of two."""
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise ValueError("a full subtree has a power of two of leaves")
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def hashes_of(tile: bytes) -> list[bytes]:
    """The hashes in a tile; raises `ValueError` for one that was cut."""
    if len(tile) % HASH_BYTES:
        raise ValueError("a tile is a row of hashes of 32 bytes")
    return [tile[i : i + HASH_BYTES] for i in range(0, len(tile), HASH_BYTES)]


def _numbered(number: int) -> str:
    """Three digits to a folder, an x before all but the last (tlog-tiles, "Merkle tree")."""
    if number < 0:
        raise ValueError("tiles are numbered from 0")
    name = f"{number % 1000:03d}"
    while number := number // 1000:
        name = f"x{number % 1000:03d}/{name}"
    return name


def _part(width: int) -> str:
    if not 1 <= width <= WIDTH:
        raise ValueError(f"a tile has 1 to {WIDTH} hashes, not {width}")
    return "" if width == WIDTH else f".p/{width}"
