"""The tokens that were withdrawn, in memory, as the store last said.

Whoever was erased since is known by pseudonym alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog

from authz_service.core.ports import DAMAGED
from authz_service.core.revocations import Revocation, Revoked, RevokedBy
from authz_service.errors import Unauthenticated, Unavailable
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)

Pseudonym = Callable[[tuple[str, str]], str]


class RevokedTokens:
    """What the verifier asks for each token; `clock` is in seconds since the epoch."""

    def __init__(self, clock: Callable[[], float] = time.time, pseudonym: Pseudonym = str) -> None:
        self._clock = clock
        self._pseudonym = pseudonym
        self._until: dict[Revoked, float] = {}
        self._of_erased: dict[str, float] = {}
        self._of_damaged: dict[str, float] = {}
        self._by_entry: dict[int, Revocation] = {}

    def replace(self, revocations: Iterable[Revocation]) -> None:
        """These are in force from now on, and no others.

        Of two of the same tokens the longer counts. A damaged one goes on as it was known here before; where
        it was not, nobody of its issuer passes.
        """
        forever = float("inf")
        named: dict[Revoked, float] = {}
        erased: dict[str, float] = {}
        damaged: dict[str, float] = {}
        in_force: dict[int, Revocation] = {}
        for told in revocations:
            revocation = told
            if told.is_damaged:
                log.error("revocation.damaged", entry=told.entry)
                revocation = self._by_entry.get(told.entry, told)
            if not revocation.is_damaged:
                in_force[told.entry] = revocation
            until = forever if revocation.until is None else revocation.until
            if revocation.is_damaged:
                damaged[revocation.what.issuer] = max(until, damaged.get(revocation.what.issuer, 0.0))
            elif revocation.what.value:
                named[revocation.what] = max(until, named.get(revocation.what, 0.0))
            else:
                erased[revocation.pseudonym] = max(until, erased.get(revocation.pseudonym, 0.0))
        self._until, self._of_erased, self._of_damaged = named, erased, damaged
        self._by_entry = in_force

    def check(self, caller: Caller) -> None:
        """Raises `Unauthenticated` for a caller whose token, or each of whose tokens, was withdrawn.

        And `Unavailable` (`record_damaged`) where nobody can tell whether it was.
        """
        if self._of_damaged and self._may_be_damaged(caller):
            message = "which tokens were withdrawn cannot be told any more; ask who runs this gateway"
            raise Unavailable(message, code=DAMAGED)
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

    def _may_be_damaged(self, caller: Caller) -> bool:
        now = self._clock()
        return any(now < self._of_damaged.get(issuer, 0.0) for issuer in ("", caller.issuer))

    def _is_erased(self, caller: Caller) -> bool:
        if not self._of_erased:
            return False
        name = self._pseudonym((caller.issuer, caller.subject))
        return self._clock() < self._of_erased.get(name, 0.0)

    def _has(self, caller: Caller, by: RevokedBy, value: str) -> bool:
        return self._clock() < self._until.get(Revoked(caller.issuer, by, value), 0.0)
