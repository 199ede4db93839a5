"""The tokens that were withdrawn, in memory, as the store last said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unauthenticated
from authz_service.view.caller import Caller


class RevokedTokens:
    """What the verifier asks for each token; `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._until: dict[Revoked, float] = {}

    def replace(self, revocations: Iterable[Revocation]) -> None:
        """These are in force from now on, and no others."""
        forever = float("inf")
        self._until = {r.what: forever if r.until is None else r.until for r in revocations}

    def check(self, caller: Caller) -> None:
        """Raises `Unauthenticated` for a caller whose token, or each of whose tokens, was withdrawn."""
        if self._until and (self._has(caller, RevokedBy.SUBJECT, caller.subject) or self._has_token(caller)):
            raise Unauthenticated(
                "the token has been withdrawn; ask who runs this gateway", code="token_revoked"
            )

    def _has_token(self, caller: Caller) -> bool:
        token = caller.claims.get("jti")
        return isinstance(token, str) and self._has(caller, RevokedBy.TOKEN, token)

    def _has(self, caller: Caller, by: RevokedBy, value: str) -> bool:
        return self._clock() < self._until.get(Revoked(caller.issuer, by, value), 0.0)
