"""The verified identity that sends a request or casts a vote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from authz_service.values import value

API_KEYS: Final = "urn:authz:keys"
"""The issuer of callers with an API key of our own."""
CERTIFICATES: Final = "urn:authz:certificates"
"""The issuer of callers with a client certificate."""


@value
class Caller:
    """Who a verified token speaks for. `expires_at` is in seconds since the epoch.

    `person` is the value of the claim that the issuer's `person` names, when it names one.
    `groups_complete` is false where the provider may have left groups out. `key` is the digest of the key
    that signed the token, "" where it is not known any more. `scope` are the words of what a key or a
    service account may ask for at most (see `Scope`), none at the review API; None for people, whom the
    rules alone bound.
    """

    issuer: str
    subject: str
    expires_at: float
    groups: tuple[str, ...] = ()
    groups_complete: bool = True
    person: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    scope: tuple[str, ...] | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """One person, however many tokens: the verified person claim, else issuer and subject."""
        return ("person", self.person) if self.person else (self.issuer, self.subject)
