"""A store of which the calls that change something are counted, and one of them can fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from authz_service.audit.draft import EntryDraft
from authz_service.core.openings import Opening
from authz_service.core.ports import Store
from authz_service.core.stored_holds import HoldDraft, HoldLimits
from authz_service.errors import Unavailable

Result = TypeVar("Result")


class Faulty:
    """A store, of which the calls that change something can be counted, and one of them can fail.

    `fail_at` counts from 1; `is_lost` has it fail after the commit, as when the answer is lost.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: list[str] = []
        self.under_way = 0
        self.fail_at = 0
        self.is_lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def append(self, *drafts: EntryDraft) -> None:
        """Counted."""
        await self._attempt("append", lambda: self._store.append(*drafts))

    async def append_own(self, *drafts: EntryDraft, stream: str | None = "", again: bool = False) -> None:
        """Counted like any other."""
        await self._attempt("append", lambda: self._store.append_own(*drafts, stream=stream, again=again))

    async def append_again(self, *drafts: EntryDraft) -> None:
        """Counted like any other."""
        await self._attempt("append", lambda: self._store.append_again(*drafts))

    async def settle(self, *drafts: EntryDraft, hold: str, session: str) -> None:
        """Counted like any other."""
        await self._attempt("append", lambda: self._store.settle(*drafts, hold=hold, session=session))

    async def open_hold(self, draft: HoldDraft, limits: HoldLimits) -> Opening:
        """Counted."""
        return await self._attempt("open_hold", lambda: self._store.open_hold(draft, limits))

    async def consume(
        self, hold_id: str, *, digest: str, session: str, entries: Sequence[EntryDraft]
    ) -> bool:
        """Counted."""
        return await self._attempt(
            "consume",
            lambda: self._store.consume(hold_id, digest=digest, session=session, entries=entries),
        )

    async def _attempt(self, name: str, work: Callable[[], Awaitable[Result]]) -> Result:
        self.calls.append(name)
        self.under_way += 1
        try:
            return await self.attempt(work)
        finally:
            self.under_way -= 1

    async def attempt(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Do the work, or fail."""
        if len(self.calls) != self.fail_at:
            return await work()
        if self.is_lost:
            await work()
        raise Unavailable("the store is away", code="store_unavailable")
