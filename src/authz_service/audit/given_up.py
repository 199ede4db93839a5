"""Checkpoints of a log that was left behind, as when a backup was restored: which they are, by its entry.

Sizes alone would not do: the log that goes on comes to the same sizes, and what is cut off its end then would
pass for what was left behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from authz_service.audit.checkpoint import Checkpoint

LISTED: Final = "given_up"
"""The payload of `record.accepted` that lists them; entries of earlier versions have none."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Those above the size `after`, up to `last`, that are `listed` by size and root; or all, for None."""

    after: int
    last: int
    listed: frozenset[tuple[int, bytes]] | None = None

    def has(self, size: int, root: bytes) -> bool:
        """Whether this is one of them."""
        return self.after < size <= self.last and (self.listed is None or (size, root) in self.listed)


def listing(checkpoints: Iterable[Checkpoint]) -> bytes:
    """Each on a line: its size, and its root in hexadecimal."""
    lines = dict.fromkeys(f"{found.size} {found.root.hex()}\n" for found in checkpoints)
    return "".join(lines).encode()


def read_listing(stored: bytes) -> frozenset[tuple[int, bytes]]:
    """The inverse; raises `ValueError`."""
    pairs = (line.split(" ") for line in stored.decode("ascii").splitlines())
    return frozenset((int(size), bytes.fromhex(root)) for size, root in pairs)
