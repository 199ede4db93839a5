"""API keys in memory, and the API to make them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.api_keys import ApiKey, KeysRead
from authz_service.core.entries import caller_payload
from authz_service.errors import Conflict, NotFound, Unavailable
from authz_service.keys.api_key import ApiKeyHashes
from authz_service.servers.review_calls import Calls
from authz_service.servers.review_keys import KeyReview, _made
from authz_service.view.caller import Caller

HASHES = ApiKeyHashes(bytes(32))
OSCAR = Caller("https://issuer.example", "oscar", 0.0)


def api_key(key_id: str, **changes: Any) -> ApiKey:
    """A key with what does not matter to a test filled in."""
    made = ApiKey(key_id, key_id.encode(), key_id, "olga", ("staff",), ("model:llama",), 0.0, 600.0, "oscar")
    return replace(made, **changes)


def created(key: ApiKey) -> EntryDraft:
    """The entry that a key is made with."""
    return _made(Kind.API_KEY_CREATED, key, OSCAR)


def rotated(key: ApiKey, until: float) -> EntryDraft:
    """The entry that a key is made with in another's place, which goes on until then."""
    return _made(Kind.API_KEY_ROTATED, key, OSCAR, replaced_until=int(until))


def revoked(key_id: str, reason: str = "lost") -> EntryDraft:
    """The entry that a key is ended with."""
    payloads = {"operator": caller_payload(OSCAR), "reason": json.dumps({"reason": reason}).encode()}
    subjects = {"operator": OSCAR.identity}
    return EntryDraft(Kind.API_KEY_REVOKED, data={"key": key_id}, payloads=payloads, subjects=subjects)


@dataclass
class MemoryKeys:
    """An `ApiKeyStore`; `clock` is the database's, `is_away` makes it refuse."""

    clock: Callable[[], float]
    keys: dict[str, ApiKey] = field(default_factory=dict)
    changed_at: dict[str, int] = field(default_factory=dict)
    recorded: list[EntryDraft] = field(default_factory=list)
    refreshed: int = 0
    is_away: bool = False

    async def create_key(self, key: ApiKey, entry: EntryDraft) -> ApiKey:
        self._require()
        if key.name in {known.name for known in self.keys.values()}:
            raise Conflict("taken", code="key_name_taken")
        return self._put(key, entry)

    async def rotate_key(self, key: ApiKey, entry: EntryDraft, *, until: float) -> ApiKey:
        self._require()
        old = self.keys[key.replaces or ""]
        if old.revoked_at is not None or old.expires_at <= self.clock():
            raise Conflict("it has ended", code="key_ended")
        made = self._put(key, entry)
        self._put(replace(old, expires_at=min(old.expires_at, until)))
        return made

    async def revoke_key(self, key_id: str, entry: EntryDraft) -> ApiKey:
        self._require()
        key = self.keys.get(key_id)
        if key is None:
            raise NotFound("none", code="key_not_found")
        told = {name: json.loads(body) for name, body in entry.payloads.items()}
        by, reason = told["operator"]["subject"], told["reason"]["reason"]
        return self._put(replace(key, revoked_at=self.clock(), revoked_by=by, reason=reason), entry)

    async def changed_keys(self, after: int = 0) -> KeysRead | None:
        self._require()
        last = max(self.changed_at.values(), default=0)
        if last == after:
            return None
        return KeysRead(last, tuple(k for k in self.keys.values() if self.changed_at[k.id] > after))

    async def api_keys(self) -> tuple[ApiKey, ...]:
        self._require()
        return tuple(reversed(self.keys.values()))

    def _put(self, key: ApiKey, entry: EntryDraft | None = None) -> ApiKey:
        if entry is not None:
            self.recorded.append(entry)
        self.changed_at[key.id] = max(self.changed_at.values(), default=0) + 1
        self.keys[key.id] = key
        return key

    def _require(self) -> None:
        if self.is_away:
            raise Unavailable("the store is away", code="store_unavailable")


def key_review(store: MemoryKeys) -> Callable[[Calls], KeyReview]:
    """The service over `store`, with two models and two model APIs."""

    async def refresh() -> None:
        store.refreshed += 1

    async def now() -> float:
        return store.clock()

    models, apis = {"llama": "llama", "gpt-4o": "llama"}, frozenset({"openai_chat", "anthropic"})
    return lambda calls: KeyReview(store, calls, HASHES, refresh, now, lambda: models, apis)
