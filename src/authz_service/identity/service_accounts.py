"""Which tokens are a service's rather than a person's, and the scope that such a token brings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from authz_service.core.people import has_usual_signs
from authz_service.errors import Forbidden
from authz_service.identity.token import malformed
from authz_service.view.scope import LONGEST_SCOPE, is_meant, is_word


@dataclass(frozen=True, slots=True)
class ServiceAccounts:
    """How an issuer's tokens say that nobody stands behind them; paths are of claims, outermost name first.

    A token is a service's that has the claim `having` (with the value `value`, if one is given), or that
    lacks the claim `lacking`; where neither is given, one that has a usual sign. One that names an `owner`
    always is.
    """

    having: tuple[str, ...] = ()
    value: str | None = None
    lacking: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ("scope",)

    def scope(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        """None for a person, else the words of the scope; raises `Forbidden` where there are none.

        What is meant for us and cannot be read is refused: left out, it could be what narrows the rest.
        """
        if not self.has(claims):
            return None
        words = [word for word in _words(_at(claims, self.scopes), self.scopes) if is_meant(word)]
        if not words:
            message = (
                "a service account may ask for what is in its token's scope, and this one has none of ours "
                f'in "{".".join(self.scopes)}" (model:NAME, api:NAME, path:PATH)'
            )
            raise Forbidden(message, code="no_scope")
        if len(words) > LONGEST_SCOPE or not all(map(is_word, words)):
            raise malformed("its scope has words that are not understood, or too many")
        return tuple(dict.fromkeys(words))

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Whether these claims are a service's."""
        if claims.get("owner") is not None:
            return True
        if self.lacking:
            return _at(claims, self.lacking) is None
        if self.having:
            found = _at(claims, self.having)
            return found is not None and (self.value is None or found == self.value)
        return has_usual_signs(claims)


def _at(claims: Mapping[str, Any], path: tuple[str, ...]) -> object:
    value: object = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _words(value: object, path: tuple[str, ...]) -> list[str]:
    """RFC 6749 3.3 has them in one string, divided by spaces; Okta and Entra's roles in a list."""
    if value is None:
        return []
    found = value.split(" ") if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise malformed(f'"{".".join(path)}" is not a list of words')
    return [word for word in found if word]
