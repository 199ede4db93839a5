"""Fuzzes one target with atheris: `python -m tests.fuzz.run TARGET [libFuzzer's arguments]`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]  # lies beside the environment

with atheris.instrument_imports(include=["authz_service"]):
    from tests.fuzz import bodies, seeds
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run until libFuzzer's limits, or the first finding, which it writes to a file and names.

    A folder among the arguments is the corpus that it goes on with; every run begins with the seeds too.
    """
    target, *arguments = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds.seeds(target)):
            (Path(folder) / f"{number:05}").write_bytes(seed)
        words = seeds.words()

        def mutate(data: bytes, max_size: int, seed: int) -> bytes:
            if seed % 4:
                changed = bodies.mutate(data, words, seeds.VALUES, seed)
                if changed is not None and len(changed) <= max_size:
                    return changed
            return bytes(atheris.Mutate(data, max_size))

        own = {"custom_mutator": mutate} if target in ("request", "answer") else {}
        atheris.Setup([sys.argv[0], *arguments, folder], TARGETS[target], **own)
        atheris.Fuzz()


main()
