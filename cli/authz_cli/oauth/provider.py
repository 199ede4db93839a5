"""A provider's endpoints, by its own metadata (OpenID Connect Discovery 1.0, RFC 8414)."""

from __future__ import annotations

from dataclasses import dataclass

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.asking import Answer, ask


@dataclass(frozen=True, slots=True)
class Provider:
    """Where to send what; "" for what the provider does not offer.

    `names_itself` says that answers of its authorization endpoint have `iss` (RFC 9207).
    """

    issuer: str
    authorization: str
    token: str
    device: str = ""
    revocation: str = ""
    names_itself: bool = False


def discover(issuer: str) -> Provider:
    """Raises `Failure` when the metadata cannot be had, is another's, or leads over plain HTTP."""
    from authz_service.identity.download import is_safe
    from authz_service.identity.jwks_url import metadata_urls

    if not is_safe(issuer):
        raise Failure(f"{issuer} is no issuer: it must be an https URL, as in its metadata", Exit.USAGE)
    found = _metadata(issuer, metadata_urls(issuer))
    endpoints = {
        name: found.text(f"{name}_endpoint")
        for name in ("authorization", "token", "device_authorization", "revocation")
    }
    for name, url in endpoints.items():
        # Over plain HTTP, or on this machine for a provider elsewhere, somebody else would get the code.
        if url and (not is_safe(url) or (url.startswith("http:") and not issuer.startswith("http:"))):
            raise Failure(f"the provider's {name} endpoint is no https URL", Exit.USAGE)
    if not endpoints["token"]:
        raise Failure(f"the metadata of {issuer} names no token endpoint", Exit.USAGE)
    return Provider(
        issuer,
        endpoints["authorization"],
        endpoints["token"],
        endpoints["device_authorization"],
        endpoints["revocation"],
        found.content.get("authorization_response_iss_parameter_supported") is True,
    )


def _metadata(issuer: str, urls: tuple[str, ...]) -> Answer:
    for url in urls:
        found = ask(url)
        if found.status == 200:
            if found.text("issuer") != issuer:  # OpenID Connect Discovery 4.3
                message = f"the metadata at {url} is of another issuer; write {issuer} exactly as it does"
                raise Failure(message, Exit.USAGE)
            return found
    raise Failure(f"{issuer} has no metadata (status {found.status}); is it the issuer's URL?", Exit.AWAY)
