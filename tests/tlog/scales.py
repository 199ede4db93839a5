"""Reads a log with tlog-scales as reader/main.go does with Go's packages; it runs in build/tlog/env."""

from __future__ import annotations

import sys
from pathlib import Path

from tlog_scales import tiles
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint


def main(url: str, vkey: str, *older: str) -> None:
    key, reader = Vkey.from_string(vkey), TilesReader(make_backend(url))
    head = reader.get_checkpoint()
    head.verify(key)
    if (head.origin, reader.calculate_root_hash()) != (key.name, head.root_hash):
        raise RuntimeError("the tiles have another root")
    for index in range(head.size):
        leaf = tiles.leaf_hash(reader.get_entry(index))
        reader.get_inclusion_proof(index, head.size).check(leaf, head.root_hash)
    for path in older:
        old = Checkpoint.from_text(Path(path).read_text())
        old.verify(key)
        reader.get_consistency_proof(old.size, head.size).check(old.root_hash, head.root_hash)
    print(f"{head.size} entries are included, {len(older)} checkpoints are consistent")


main(*sys.argv[1:])
