"""What a token says before its signature is checked: enough to find the key, and nothing to believe."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import orjson

from authz_service.errors import Unauthenticated

LONGEST_NAME = 512
LONGEST_TOKEN = 16 * 1024  # characters, all of them ASCII
# Headers that bring a key, or say where to fetch one, put the sender in charge of what is trusted
# (RFC 8725 3.10); `crit` and `zip` ask for extensions that we don't have (RFC 7515 4.1.11).
REFUSED_HEADERS = ("crit", "jku", "jwk", "x5u", "zip", "enc", "b64")
# Access and ID tokens; a logout token or a proof of possession must not pass as one (RFC 8725 3.11).
TOKEN_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class TokenHead:
    """What an unverified token claims about its signature: a key of which issuer, which algorithm."""

    issuer: str
    algorithm: str
    kid: str | None


def read_head(token: str) -> TokenHead:
    """Read a compact JWS (RFC 7515 7.1); raises `Unauthenticated` for anything else or over 16 KiB."""
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated(f"the token is longer than {LONGEST_TOKEN} bytes", code="token_too_large")
    segments = token.split(".")
    if len(segments) != 3 or not all(segments):
        raise malformed("it is not a signed JSON Web Token")
    header, payload = _json_object(segments[0]), _json_object(segments[1])
    _check_header(header)
    issuer, algorithm, kid = payload.get("iss"), header.get("alg"), header.get("kid")
    if not isinstance(issuer, str) or not issuer:
        raise malformed('it has no issuer ("iss")')
    if not isinstance(algorithm, str) or not isinstance(kid, str | None):
        raise malformed("its header names no algorithm, or the key in a way that cannot be read")
    return TokenHead(issuer, algorithm, kid)


def malformed(why: str) -> Unauthenticated:
    """The refusal of what is no token of the kind that we accept."""
    return Unauthenticated(f"the token cannot be read: {why}", code="malformed_token")


def name_in(value: object, claim: str) -> str:
    """The value of a claim that is a name; raises `Unauthenticated` for one that could be mistaken."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise malformed(f'"{claim}" is not a name of 1 to {LONGEST_NAME} printable characters')
    return value


def _check_header(header: dict[str, Any]) -> None:
    for name in REFUSED_HEADERS:
        if name in header:
            raise malformed(f'its header has "{name}", which is not accepted')
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in TOKEN_TYPES:
        raise malformed('its header\'s "typ" is not that of an access token')


def _json_object(segment: str) -> dict[str, Any]:
    try:
        padded = segment + "=" * (-len(segment) % 4)
        content = orjson.loads(base64.b64decode(padded, altchars="-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise malformed("a part of it is not JSON in base64url") from error
    if not isinstance(content, dict):
        raise malformed("a part of it is not a JSON object")
    return content
