"""What a verified token says of the account that it speaks for: a person's, or a service's."""

from __future__ import annotations

from typing import Final

from authz_service.view.caller import Caller

_GOOGLE: Final = ".gserviceaccount.com"
_KEYCLOAK: Final = "service-account-"
_KUBERNETES: Final = "system:serviceaccount:"


def is_service_account(caller: Caller) -> bool:
    """Whether an account is that of a service, by any sign that its token gives.

    A scope, which people have none of; an `owner`; what Entra (`idtyp`), Auth0 (`gty`), Keycloak, Google
    and Kubernetes write; or the client itself as subject (RFC 9068 2.2), since it asked for the token with
    nobody's consent.
    """
    if caller.scope is not None:
        return True
    claims = caller.claims
    if claims.get("owner") or claims.get("idtyp") == "app" or claims.get("gty") == "client-credentials":
        return True
    if caller.subject in (claims.get("client_id"), claims.get("azp"), claims.get("cid")):
        return True
    names = [claims.get(name) for name in ("preferred_username", "email")]
    texts = [caller.subject, *(name for name in names if isinstance(name, str))]
    return caller.subject.startswith(_KUBERNETES) or any(
        text.casefold().endswith(_GOOGLE) or text.casefold().startswith(_KEYCLOAK) for text in texts
    )
