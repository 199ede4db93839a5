"""Withdrawn tokens in memory, and the API to withdraw them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from authz_service.audit.draft import EntryDraft
from authz_service.core.revocations import Revocation, RevocationsRead, Revoked, in_order
from authz_service.errors import Unavailable
from authz_service.servers.review_calls import Calls
from authz_service.servers.review_tokens import TokenReview

ISSUER = "https://id.example"


@dataclass
class MemoryRevocations:
    """A `RevocationStore`; `clock` is the database's, `is_away` makes it refuse."""

    clock: Callable[[], float]
    rows: dict[Revoked, Revocation] = field(default_factory=dict)
    recorded: list[EntryDraft] = field(default_factory=list)
    refreshed: int = 0
    is_away: bool = False

    async def revoke(self, revocation: Revocation, entry: EntryDraft) -> None:
        self._require()
        self.rows[revocation.what] = replace(revocation, at=self.clock())
        self.recorded.append(entry)

    async def restore(self, what: Revoked, entry: EntryDraft) -> bool:
        self._require()
        if self.rows.pop(what, None) is None:
            return False
        self.recorded.append(entry)
        return True

    async def revocations(self, known: str = "") -> RevocationsRead | None:
        self._require()
        version = str(len(self.recorded))
        if version == known:
            return None
        in_force = [r for r in self.rows.values() if r.until is None or r.until > self.clock()]
        return RevocationsRead(version, in_order(in_force))

    def _require(self) -> None:
        if self.is_away:
            raise Unavailable("the store is away", code="store_unavailable")


def token_review(
    store: MemoryRevocations, issuers: tuple[str, ...] = (ISSUER, "urn:other")
) -> Callable[[Calls], TokenReview]:
    """The service over `store`."""

    async def refresh() -> None:
        store.refreshed += 1

    async def now() -> float:
        return store.clock()

    refreshing: Callable[[], Awaitable[None]] = refresh
    return lambda calls: TokenReview(store, calls, issuers, refreshing, now)
