"""How fast others detect in the same text, each in an environment of its own, where it is installed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.micro.figure import Figure, Room
from bench.peers.environment import installed, version

_HERE = Path(__file__).parent
_DETECTORS = {
    "litellm": ("LiteLLM {}, its content filter with 30 patterns", "detect_litellm.py"),
    "presidio": ("Presidio {}, its 17 pattern recognisers", "detect_presidio.py"),
}
_PACKAGES = {"litellm": "litellm", "presidio": "presidio-analyzer"}
_PIECE = 50_000
"""Characters of the text that they are given: they are slow."""


def detecting(text: str, room: Room) -> Iterator[Figure]:
    """A figure for each peer that `make bench-peers` has installed."""
    file = room.folder / "prose.txt"
    file.write_text(text[:_PIECE])
    for name, (title, script) in _DETECTORS.items():
        python = installed(name)
        if python is None:
            continue
        command = (str(python), "-P", str(_HERE / script), str(file), str(room.seconds))
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=room.folder)
        if done.returncode:
            raise RuntimeError(f"{name} could not read the text: {done.stderr.strip()[-500:]}")
        which = version(_PACKAGES[name], of=name)
        yield Figure(title.format(which), float(done.stdout.split()[-1]), "MB/CPU s")
