"""The tokens that were withdrawn, in memory, as the store last said.

Whoever was erased since is known by pseudonym alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unauthenticated
from authz_service.view.caller import Caller

Pseudonym = Callable[[tuple[str, str]], str]


class RevokedTokens:
    """What the verifier asks for each token; `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time, pseudonym: Pseudonym = str) -> None:
        self._clock = clock
        self._pseudonym = pseudonym
        self._until: dict[Revoked, float] = {}
        self._of_erased: dict[str, float] = {}

    def replace(self, revocations: Iterable[Revocation]) -> None:
        """These are in force from now on, and no others."""
        forever = float("inf")
        named: dict[Revoked, float] = {}
        erased: dict[str, float] = {}
        for revocation in revocations:
            until = forever if revocation.until is None else revocation.until
            if revocation.what.value:
                named[revocation.what] = until
            else:
                erased[revocation.pseudonym] = until
        self._until, self._of_erased = named, erased

    def check(self, caller: Caller) -> None:
        """Raises `Unauthenticated` for a caller whose token, or each of whose tokens, was withdrawn."""
        if not self._until and not self._of_erased:
            return
        if (
            self._has(caller, RevokedBy.SUBJECT, caller.subject)
            or self._has_token(caller)
            or self._is_erased(caller)
        ):
            raise Unauthenticated(
                "the token has been withdrawn; ask who runs this gateway", code="token_revoked"
            )

    def _has_token(self, caller: Caller) -> bool:
        token = caller.claims.get("jti")
        return isinstance(token, str) and self._has(caller, RevokedBy.TOKEN, token)

    def _is_erased(self, caller: Caller) -> bool:
        if not self._of_erased:
            return False
        name = self._pseudonym((caller.issuer, caller.subject))
        return self._clock() < self._of_erased.get(name, 0.0)

    def _has(self, caller: Caller, by: RevokedBy, value: str) -> bool:
        return self._clock() < self._until.get(Revoked(caller.issuer, by, value), 0.0)
