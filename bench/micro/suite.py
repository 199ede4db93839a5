"""The micro-benches by name; a further one is a module beside this one and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bench.micro.checking import checking
from bench.micro.detection import detection
from bench.micro.figure import Micro
from bench.micro.framing import framing
from bench.micro.limiting import limiting
from bench.micro.record import record

SUITE: Final[Mapping[str, Micro]] = {
    "framing": framing,
    "detection": detection,
    "checking": checking,
    "limiting": limiting,
    "record": record,
}
