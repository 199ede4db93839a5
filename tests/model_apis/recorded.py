"""Reads the documents of an answer from a file of wire traffic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WIRE = Path(__file__).parent / "wire"


def recorded(name: str) -> list[Any]:
    """That of a `.json`, or those of the events of a `.sse`."""
    text = (WIRE / name).read_text()
    if name.endswith(".json"):
        return [json.loads(text)]
    return [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: ")]
