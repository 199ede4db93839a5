"""Seals what Check found about a request, so that Process can rely on it.

Envoy carries the seal from ext_authz to ext_proc as dynamic metadata. It is authenticated, not
encrypted: its way lies inside Envoy and the local socket. Text: 64 hexadecimal digits of HMAC-SHA256,
then compact JSON.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import field

import orjson

from authz_service.errors import Forbidden, Unreadable
from authz_service.values import value
from authz_service.view.caller import Caller

LARGEST_SEAL = 128 * 1024  # bytes of UTF-8; headers of a request may take 60 KiB, a token 16 KiB
CLOCK_SKEW = 5.0
"""How far apart the clocks of two replicas may be, in seconds: one checks, another processes."""
# The purpose parts this use of the key from every other; the number is that of the layout below.
_PURPOSE = b"authz seal 5"
_MAC_DIGITS = 64


@value
class Sealed:
    """One checked request: its exchange, who sends it, and where. `path` has the query with it.

    `source` is the address that it came from.

    `is_of_this_run`: sealed by the sealer that opened it, and so since this process began. `at` is when, in
    seconds since the epoch; only who opened a seal knows both.
    """

    exchange: str
    caller: Caller
    method: str
    path: str
    host: str
    source: str = ""
    is_of_this_run: bool = field(default=True, compare=False)
    at: float = field(default=0.0, compare=False)


class Sealer:
    """Seals and opens with one key (32 bytes or more); a seal is opened for `life` seconds.

    Sealers with the same key open each other's seals, and tell them from their own.
    """

    def __init__(self, key: bytes, life: float = 60.0) -> None:
        if len(key) < 32:
            raise ValueError(f"a seal key needs at least 32 bytes, got {len(key)}")
        if not 0 < life < float("inf"):
            raise ValueError(f"a seal needs a life above zero, got {life}")
        self._key = hmac.digest(key, _PURPOSE, "sha256")
        self._life = life
        self._run = secrets.token_hex(8)

    def seal(self, sealed: Sealed, now: float) -> str:
        """The seal, good from `now` (seconds since the epoch) for the opener's life.

        Raises `Unreadable` (431) when it would be larger than 128 KiB.
        """
        body = _encode(sealed, sealed_at=now, run=self._run)
        if len(body) > LARGEST_SEAL - _MAC_DIGITS:
            raise Unreadable("the request's path and token are too large", code="too_large", status=431)
        return self._mac(body) + body.decode()

    def open(self, text: str, now: float) -> Sealed:
        """What was sealed; raises `Forbidden` for everything but an unchanged seal in its lifetime."""
        if not _MAC_DIGITS < len(text) <= LARGEST_SEAL:
            raise _refused("has an impossible length")
        mac, body = text[:_MAC_DIGITS], text[_MAC_DIGITS:].encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(self._mac(body).encode(), mac.encode("utf-8", "surrogatepass")):
            raise _refused("was not made by this service")
        sealed = _decode(body, run=self._run)
        # Bounded from both sides: a clock that went back must not prolong a life.
        if not -CLOCK_SKEW <= now - sealed.at < self._life:
            raise _refused("is outside its lifetime")
        return sealed

    def _mac(self, body: bytes) -> str:
        return hmac.digest(self._key, body, "sha256").hex()


def _encode(sealed: Sealed, *, sealed_at: float, run: str) -> bytes:
    caller = sealed.caller
    return orjson.dumps(
        [
            sealed_at,
            run,
            sealed.exchange,
            sealed.method,
            sealed.path,
            sealed.host,
            sealed.source,
            caller.issuer,
            caller.subject,
            caller.expires_at,
            caller.groups,
            caller.groups_complete,
            caller.person,
            caller.claims,
            caller.key,
            caller.scope,
        ]
    )


def _decode(body: bytes, *, run: str) -> Sealed:
    sealed_at, sealed_in, exchange, method, path, host, source, *identity = orjson.loads(body)
    issuer, subject, token_expires_at, groups, groups_complete, person, claims, key, scope = identity
    caller = Caller(
        issuer,
        subject,
        token_expires_at,
        tuple(groups),
        groups_complete,
        person,
        claims,
        key,
        None if scope is None else tuple(scope),
    )
    is_of_this_run = sealed_in == run
    return Sealed(exchange, caller, method, path, host, source, is_of_this_run=is_of_this_run, at=sealed_at)


def _refused(what: str) -> Forbidden:
    return Forbidden(f"the seal of this request {what}", code="invalid_seal")
