"""Verified claims to a `Caller`: the times that bound a token, the groups, the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from authz_service.errors import Unauthenticated
from authz_service.identity.token import malformed
from authz_service.view.caller import Caller

LEEWAY = 10.0
"""How far ahead of ours an issuer's clock may be, in seconds. Nothing is added to a token's end."""
LONGEST_NAME = 512
# Okta cuts the list at 100 without a word, so a list of exactly that length may be a cut one.
CUT_LENGTH: Final = 100


def check_times(claims: Mapping[str, Any], *, now: float, max_lifetime: float) -> float:
    """When the token expires, in seconds since the epoch; raises `Unauthenticated` out of its time.

    RFC 7519 4.1.4 to 4.1.6, and `exp` - `iat` at most `max_lifetime` seconds. The end is exact, since
    it is compared again when a held request is released.
    """
    expires_at, issued_at = _time(claims, "exp"), _time(claims, "iat")
    if now >= expires_at:
        raise Unauthenticated("the token has expired; get a new one", code="token_expired")
    if issued_at > now + LEEWAY or ("nbf" in claims and _time(claims, "nbf") > now + LEEWAY):
        raise Unauthenticated("the token is not valid yet", code="token_not_yet_valid")
    if expires_at - issued_at > max_lifetime:
        message = f"the token is valid for longer than the {max_lifetime:.0f} seconds that are accepted"
        raise Unauthenticated(message, code="token_lifetime")
    return expires_at


def caller(
    claims: Mapping[str, Any], *, expires_at: float, groups: tuple[str, ...], person: str | None
) -> Caller:
    """Who these verified claims speak for; `groups` is a path of claim names, `person` a claim's name.

    Raises `Unauthenticated` for a name that is empty, over 512 characters or has control characters,
    groups that are no list of names, and a person that is missing or not verified.
    """
    names, is_complete = _groups(claims, groups)
    return Caller(
        issuer=_name(claims["iss"], "iss"),
        subject=_name(claims["sub"], "sub"),
        expires_at=expires_at,
        groups=names,
        groups_complete=is_complete,
        person=_person(claims, person) if person else None,
        claims=_plain(claims),
    )


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # `true` is an int to Python; NaN is within no bounds, since it compares as false with everything.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise malformed(f'"{name}" is not a time in seconds')
    return float(value)


def _name(value: object, claim: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME or not value.isprintable():
        raise malformed(f'"{claim}" is not a name of 1 to {LONGEST_NAME} printable characters')
    return value


def _groups(claims: Mapping[str, Any], path: tuple[str, ...]) -> tuple[tuple[str, ...], bool]:
    value: object = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return (), False  # the issuer says nothing about groups, which is not the same as none
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list):
        raise malformed("its groups are not a list of names")
    groups = tuple(_name(entry, ".".join(path)) for entry in entries)
    return groups, not _has_overage(claims, path[0]) and len(groups) != CUT_LENGTH


def _has_overage(claims: Mapping[str, Any], claim: str) -> bool:
    """Entra's signs that it left groups out: distributed claims (OpenID Connect Core 5.6.2), `hasgroups`."""
    elsewhere = claims.get("_claim_names")
    if "hasgroups" in claims:
        return True
    return claim in elsewhere if isinstance(elsewhere, Mapping) else elsewhere is not None


def _person(claims: Mapping[str, Any], claim: str) -> str:
    value = claims.get(claim)
    if value is None:
        # Without it one person would be several, and could approve their own requests.
        raise malformed(f'"{claim}", which names the person, is missing')
    # Whoever may choose an unverified address could choose somebody else's (OpenID Connect Core 5.1).
    if claim == "email" and claims.get("email_verified", True) not in (True, "true"):
        raise Unauthenticated('the issuer has not verified the token\'s "email"', code="unverified_person")
    name = _name(value, claim)
    return name.casefold() if "@" in name else name  # providers differ in the case of the same address


def _plain(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims as values that survive JSON unchanged: no lone surrogates, NaN or huge integers."""
    try:
        plain: dict[str, Any] = orjson.loads(orjson.dumps(claims))
    except (TypeError, ValueError, RecursionError) as error:
        raise malformed("a claim has a value that JSON cannot carry") from error
    return plain
