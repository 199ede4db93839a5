"""Verified claims to a `Caller`: the times that bound a token, the groups, the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from authz_service.errors import Unauthenticated
from authz_service.identity.groups import GroupClaim
from authz_service.identity.token import malformed, name_in
from authz_service.view.caller import Caller

LEEWAY = 10.0
"""How far ahead of ours an issuer's clock may be, in seconds. Nothing is added to a token's end."""


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


@dataclass(frozen=True, slots=True)
class PersonClaim:
    """The claim that names a person at every issuer that knows them.

    `is_trusted`: an address counts without `email_verified`, from a provider that never sends it.
    """

    name: str
    is_trusted: bool = False

    def read(self, claims: Mapping[str, Any]) -> str:
        """The person; raises `Unauthenticated` for one that is missing or not verified."""
        value = claims.get(self.name)
        if value is None:
            # Without it one person would be several, and could approve their own requests.
            raise malformed(f'"{self.name}", which names the person, is missing')
        if is_unverified(self.name, claims, is_trusted=self.is_trusted):
            raise Unauthenticated(
                'the issuer has not verified the token\'s "email"', code="unverified_person"
            )
        name = name_in(value, self.name)
        return _in_small_letters(name) if "@" in name else name


def is_unverified(name: str, claims: Mapping[str, Any], *, is_trusted: bool) -> bool:
    """Whether the claim is an address that the issuer has not verified; `is_trusted` as in `PersonClaim`.

    Whoever may choose an unverified address could choose somebody else's (OpenID Connect Core 5.1).
    """
    return name == "email" and claims.get("email_verified", is_trusted) not in (True, "true")


def _in_small_letters(address: str) -> str:
    """Providers differ in the case of the same address.

    Not the letters that would become ASCII ones (the Kelvin sign, a long s, an sz): whose address has such a
    letter would be taken for somebody else.
    """
    if address.isascii():
        return address.lower()
    return "".join(letter if _becomes_ascii(letter) else letter.casefold() for letter in address)


def _becomes_ascii(letter: str) -> bool:
    return not letter.isascii() and any(folded.isascii() for folded in letter.casefold())


def caller(
    claims: Mapping[str, Any], *, expires_at: float, groups: GroupClaim, person: PersonClaim | None
) -> Caller:
    """Who these verified claims speak for.

    Raises `Unauthenticated` for a name that is empty, over 512 characters or has control characters,
    groups that are no list of names, and a person that is missing or not verified.
    """
    names, is_complete = groups.read(claims)
    return Caller(
        issuer=name_in(claims["iss"], "iss"),
        subject=name_in(claims["sub"], "sub"),
        expires_at=expires_at,
        groups=names,
        groups_complete=is_complete,
        person=person.read(claims) if person else None,
        claims=_plain(claims),
    )


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # `true` is an int to Python; NaN is within no bounds, since it compares as false with everything.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise malformed(f'"{name}" is not a time in seconds')
    return float(value)


def _plain(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims as values that survive JSON unchanged: no lone surrogates, NaN or huge integers."""
    try:
        plain: dict[str, Any] = orjson.loads(orjson.dumps(claims))
    except (TypeError, ValueError, RecursionError) as error:
        raise malformed("a claim has a value that JSON cannot carry") from error
    return plain
