"""Whether a verified token speaks for a person or for a service: one definition for both doors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from authz_service.view.caller import Caller

_CLIENT: Final = ("client_id", "azp", "cid")
"""The client that got a token; where it is the subject too, nobody else is there (RFC 9068 2.2)."""

_GOOGLE: Final = ".gserviceaccount.com"
_KEYCLOAK: Final = "service-account-"
_KUBERNETES: Final = "system:serviceaccount:"


def is_service_account(caller: Caller) -> bool:
    """Whether an account is that of a service: what verified it gave it a scope."""
    return caller.scope is not None


def has_usual_signs(claims: Mapping[str, Any]) -> bool:
    """Whether a token's claims have a sign by which the providers that we know tell that it is a service's.

    What Entra (`idtyp`), Auth0 (`gty`), Keycloak, Google and Kubernetes write; or the client itself as
    subject, since it asked for the token with nobody's consent.
    """
    if claims.get("idtyp") == "app" or claims.get("gty") == "client-credentials":
        return True
    subject = str(claims["sub"])
    if any(claims.get(name) == subject for name in _CLIENT):
        return True
    names = [subject, claims.get("preferred_username"), claims.get("email")]
    texts = [name.casefold() for name in names if isinstance(name, str)]
    return subject.startswith(_KUBERNETES) or any(
        text.endswith(_GOOGLE) or text.startswith(_KEYCLOAK) for text in texts
    )
