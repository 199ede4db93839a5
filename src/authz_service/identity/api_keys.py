"""The API keys that are known here, in memory: whose a key is costs one hash and one look."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from authz_service.core.api_keys import ApiKey
from authz_service.errors import Unauthenticated
from authz_service.keys.api_key import ApiKeyHashes, is_whole
from authz_service.view.caller import API_KEYS, Caller


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    is_revoked: bool
    is_damaged: bool


class ApiKeys:
    """What the verifier asks for each key; `clock` is in seconds since the epoch.

    Keys are those of the store as `take` was last told of them; ended ones are known as such.
    """

    def __init__(self, hashes: ApiKeyHashes, clock: Callable[[], float] = time.time) -> None:
        self._hashes = hashes
        self._clock = clock
        self._by_hash: dict[bytes, str] = {}
        self._by_id: dict[str, _Known] = {}

    def take(self, keys: Iterable[ApiKey]) -> None:
        """These are new, or have changed."""
        for key in keys:
            self._by_hash[key.hash] = key.id
            self._by_id[key.id] = _Known(_caller(key), key.revoked_at is not None, key.is_damaged)

    def verify(self, text: str) -> Caller:
        """Who sends a request with this key; raises `Unauthenticated`, which never repeats it."""
        key_id = self._by_hash.get(self._hashes.of(text))
        if key_id is None:
            if not is_whole(text):
                message = "the API key is not whole: copy all of it, with nothing before or behind"
                raise Unauthenticated(message, code="malformed_api_key")
            raise Unauthenticated("this API key is not known here", code="unknown_api_key")
        return self._live(key_id)

    def recheck(self, caller: Caller) -> None:
        """Whether a caller's key would still be accepted; raises what verifying it does."""
        self._live(str(caller.claims["key"]))

    def _live(self, key_id: str) -> Caller:
        known = self._by_id.get(key_id)
        if known is None:
            raise Unauthenticated("this API key is not known here", code="unknown_api_key")
        if known.is_revoked:
            raise Unauthenticated("the API key has been revoked; ask who made it", code="api_key_revoked")
        if known.is_damaged:
            message = "what is stored of the API key is damaged; ask who made it for another"
            raise Unauthenticated(message, code="api_key_damaged")
        if self._clock() >= known.caller.expires_at:
            raise Unauthenticated("the API key has expired; ask who made it", code="api_key_expired")
        return known.caller


def _caller(key: ApiKey) -> Caller:
    return Caller(
        issuer=API_KEYS,
        subject=key.name,
        expires_at=key.expires_at,
        groups=key.groups,
        claims={"key": key.id, "owner": key.owner},
        scope=key.scope,
    )
