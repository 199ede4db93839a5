"""What a process that serves alone leaves to the next one: since when every one of them ended in order.

Requests that came meanwhile wait at Envoy, which asks the next process about them. Of what is not on record
nothing was released, but it may be what the last process died of: only where that one ended in order, and
those before it, can the next one begin with it. A note for the next process costs an exchange nothing; the
marks of several workers, which tell who died of what while the others go on, do.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Succession:
    """The note in `file`, which counts for one process: a second one finds it only when the first left it."""

    file: Path

    def take(self, now: float) -> float:
        """Since when (seconds since the epoch) no process died; `now` where the last one did, or is unknown.

        To be called once, before anything is answered.
        """
        try:
            since = float(self.file.read_text())
            self.file.unlink()
        except (OSError, ValueError):
            self.forget()
            return now
        return since if math.isfinite(since) and since <= now else now

    def forget(self) -> None:
        """What was left counts for nobody: others answer meanwhile, of whom it says nothing."""
        with suppress(OSError):
            self.file.unlink(missing_ok=True)

    def leave(self, since: float) -> None:
        """This process ends in order, with nothing in hand. A note that cannot be written is none."""
        with suppress(OSError):
            self.file.write_text(repr(since))
