"""Verifies a token: whose it is, and that it is for this door; or says what is wrong with it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jwt

from authz_service.errors import Misconfigured, Unauthenticated
from authz_service.identity.api_keys import ApiKeys
from authz_service.identity.certificates import CertificateCallers
from authz_service.identity.claims import caller, check_times
from authz_service.identity.issuer import TrustedIssuer
from authz_service.identity.key_sources import unknown_key
from authz_service.identity.keys import VerifyingKey
from authz_service.identity.revoked import RevokedTokens
from authz_service.identity.token import TokenHead, malformed, read_head
from authz_service.keys.api_key import PREFIX
from authz_service.view.caller import API_KEYS, CERTIFICATES, Caller

MOST_REMEMBERED = 10_000
BAD_SIGNATURE = "bad_signature"
REQUIRED = ("exp", "iat", "iss", "aud", "sub")


@dataclass(frozen=True, slots=True)
class _Verified:
    caller: Caller
    issuer: TrustedIssuer
    key: VerifyingKey


class Verifier:
    """Verifies tokens for the gateway and for the review API, which take none of each other's.

    Both methods raise `Unauthenticated`, which says what is wrong and never repeats the token, and
    `Unavailable` while an issuer's keys cannot be had. `clock` is in seconds since the epoch; `then_close`
    is called once all key sources are closed. What `revoked` says holds for every token, remembered or not.
    Without `api_keys` no API key is taken, without `certificates` no client certificate. `pseudonym` is the
    record's, by which it knows whom it erased.
    """

    def __init__(
        self,
        issuers: Sequence[TrustedIssuer],
        *,
        review_audience: str,
        clock: Callable[[], float] = time.time,
        then_close: Callable[[], Awaitable[None]] | None = None,
        api_keys: ApiKeys | None = None,
        pseudonym: Callable[[tuple[str, str]], str] = str,
        certificates: CertificateCallers | None = None,
    ) -> None:
        self._issuers = {issuer.url: issuer for issuer in issuers}
        if not issuers or len(self._issuers) != len(issuers):
            raise Misconfigured("identity: no issuer is trusted, or one is listed twice")
        if review_audience in {issuer.audience for issuer in issuers}:
            raise Misconfigured("review.audience must differ from every issuer's audience")
        self._gateway_audiences = frozenset(issuer.audience for issuer in issuers)
        self._review_audience = review_audience
        self._clock = clock
        self.revoked = RevokedTokens(clock, pseudonym)
        self._then_close = then_close
        self._api_keys = api_keys
        self._certificates = certificates
        self._remembered: dict[bytes, _Verified] = {}

    @property
    def issuers(self) -> Collection[str]:
        """The URLs of those that are trusted, that of client certificates among them."""
        return self._issuers.keys() | (set() if self._certificates is None else {CERTIFICATES})

    async def verify_gateway(self, token: str) -> Caller:
        """Who sends a request with this token, or API key of ours."""
        if token.startswith(PREFIX):
            return self._keys().verify(token)
        return await self._verify(token, is_review=False)

    def verify_certificate(self, encoded: str) -> Caller:
        """Who sends a request with this client certificate, PEM in URL encoding, which Envoy has verified."""
        caller = self._certified().verify(encoded)
        self.revoked.check(caller)
        return caller

    async def verify_review(self, token: str) -> Caller:
        """Who calls the review API with this token."""
        if token.startswith(PREFIX):
            # Whoever holds an application's key must not be able to vote.
            message = "API keys are for the gateway; the review API takes tokens of people"
            raise Unauthenticated(message, code="wrong_audience")
        return await self._verify(token, is_review=True)

    async def recheck(self, caller: Caller) -> None:
        """Whether a caller's token would still be accepted, but for its time; raises what verifying it does.

        For a request that was held since: its key may have been withdrawn.
        """
        if caller.issuer == API_KEYS:
            self._keys().recheck(caller)
            return
        if caller.issuer == CERTIFICATES:
            self._certified().recheck(caller)
            self.revoked.check(caller)
            return
        issuer = self._issuers.get(caller.issuer)
        if issuer is None:
            raise _unknown_issuer()
        if caller.key and not await issuer.keys.stands_by(caller.key):
            raise unknown_key()
        self.revoked.check(caller)

    async def warm(self) -> None:
        """Get every issuer's keys; raises `Unavailable` when those of one cannot be had."""
        sources = [issuer.keys.warm() for issuer in self._issuers.values()]
        for result in await asyncio.gather(*sources, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def close(self) -> None:
        """End what the key sources and lookups run in the background."""
        for issuer in self._issuers.values():
            await issuer.keys.close()
            if issuer.lookup is not None:
                await issuer.lookup.cache.close()
        if self._then_close is not None:
            await self._then_close()

    def _keys(self) -> ApiKeys:
        if self._api_keys is None:
            raise Unauthenticated("this gateway takes no API keys of its own", code="unknown_api_key")
        return self._api_keys

    def _certified(self) -> CertificateCallers:
        if self._certificates is None:
            raise Unauthenticated("this gateway takes no client certificates", code="unknown_certificate")
        return self._certificates

    async def _verify(self, token: str, *, is_review: bool) -> Caller:
        if not token.isascii():
            raise malformed("it has characters that no token has")
        digest = hashlib.sha256(b"%d" % is_review + token.encode()).digest()
        verified = self._recall(digest)
        if verified is None:
            verified = await self._verified(read_head(token), token, is_review=is_review)
            self._remember(digest, verified)
        self.revoked.check(verified.caller)
        lookup = verified.issuer.lookup
        if lookup is None or verified.caller.groups_complete:
            return verified.caller
        return await lookup.completed(verified.caller)

    def _recall(self, digest: bytes) -> _Verified | None:
        verified = self._remembered.get(digest)
        if verified is None:
            return None
        # A verification ends with its token, and with its key leaving the issuer's set.
        is_live = self._clock() < verified.caller.expires_at
        if is_live and verified.issuer.keys.has(verified.key):
            return verified
        del self._remembered[digest]
        return None

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        if len(self._remembered) >= MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = verified

    async def _verified(self, head: TokenHead, token: str, *, is_review: bool) -> _Verified:
        issuer = self._issuers.get(head.issuer)
        if issuer is None:
            raise _unknown_issuer()
        if head.algorithm not in issuer.algorithms:
            message = f"the token is not signed with {' or '.join(issuer.algorithms)}"
            raise Unauthenticated(message, code="algorithm_refused")
        audience = self._review_audience if is_review else issuer.audience
        key, claims = await _signed(token, head, issuer, audience=audience)
        self._check_single_use(claims["aud"], is_review=is_review)
        expires_at = check_times(claims, now=self._clock(), max_lifetime=issuer.max_lifetime)
        found = caller(claims, expires_at=expires_at, groups=issuer.groups, person=issuer.person)
        scope = _review_scope(issuer, claims) if is_review else issuer.services.scope(claims)
        return _Verified(replace(found, key=key.digest, scope=scope), issuer, key)

    def _check_single_use(self, audience: str | list[str], *, is_review: bool) -> None:
        """Refuse a token that is good for both doors: an agent that holds its user's could vote."""
        others = self._gateway_audiences if is_review else {self._review_audience}
        if others.intersection([audience] if isinstance(audience, str) else audience):
            message = "the token is for the gateway and for the review API; get one for each"
            raise Unauthenticated(message, code="wrong_audience")


def _review_scope(issuer: TrustedIssuer, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Of a service one without words: they are for what is asked of models; who may review, the roles say."""
    return () if issuer.services.has(claims) else None


def _unknown_issuer() -> Unauthenticated:
    return Unauthenticated("the token's issuer is not one that is trusted here", code="unknown_issuer")


async def _signed(
    token: str, head: TokenHead, issuer: TrustedIssuer, *, audience: str
) -> tuple[VerifyingKey, dict[str, Any]]:
    """The key that signed the token, and its claims."""
    algorithm = head.algorithm
    key = await issuer.keys.find(head.kid, algorithm)
    try:
        return key, _check_signature(token, key, issuer, algorithm=algorithm, audience=audience)
    except Unauthenticated as error:
        is_of_key = error.code == BAD_SIGNATURE
        later = await issuer.keys.successor(key, head.kid, algorithm) if is_of_key else None
        if later is None:
            raise
    return later, _check_signature(token, later, issuer, algorithm=algorithm, audience=audience)


def _check_signature(
    token: str, key: VerifyingKey, issuer: TrustedIssuer, *, algorithm: str, audience: str
) -> dict[str, Any]:
    """The claims, once signature, issuer, audience and required claims are good; times are ours to check."""
    try:
        return jwt.decode(
            token,
            key.public,
            algorithms=[algorithm],  # one of the configuration's, and the only one that fits the key
            audience=audience,
            issuer=issuer.url,
            options={
                "require": list(REQUIRED),
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except jwt.InvalidSignatureError as error:
        raise Unauthenticated("the token's signature is not good", code=BAD_SIGNATURE) from error
    except jwt.InvalidAudienceError as error:
        raise Unauthenticated(f"the token is not for {audience!r}", code="wrong_audience") from error
    except jwt.MissingRequiredClaimError as error:
        raise malformed(f'it has no "{error.claim}"') from error
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise malformed("its signature or claims are not well formed") from error
