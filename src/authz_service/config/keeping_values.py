"""How long the record is kept, and where the keys of its payloads are, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Keep:
    """How long, in seconds, entries, payloads and values before masking are kept; the last 0 for never."""

    entries: float = 400 * _DAY
    payloads: float = 90 * _DAY
    originals: float = 0.0


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the keys of subjects are, and the master key that wraps them: a file, or a variable.

    Without `url` they are in keys.db, and without either in master.key, both in the data directory.
    """

    url: str | None = None
    master_file: Path | None = None
    master_variable: str | None = None


@dataclass(frozen=True, slots=True)
class Keeping:
    """`record.keep` and `record.keys`."""

    keep: Keep = field(default_factory=Keep)
    keys: KeyPlace = field(default_factory=KeyPlace)
