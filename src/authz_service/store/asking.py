"""What letting go of the record asks of the store: units of work, and questions that may take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from authz_service.store.transaction import Reader, Transaction

Result = TypeVar("Result")

PREVIEW_SECONDS = 600.0
"""So long a question may take that looks through all of the record."""
BUSY = "store_busy"


class Units(Protocol):
    """Runs units of work: each `change` in a transaction of its own, each `ask` on one view."""

    async def change(self, work: Callable[[Transaction], Result]) -> Result:
        """Raises `Unavailable`."""
        ...

    async def ask(self, question: Callable[[Reader], Result], *, patience: float) -> Result:
        """Raises `Unavailable`, also after `patience` seconds."""
        ...

    async def now(self) -> float:
        """The database's clock, in seconds; raises `Unavailable`."""
        ...
