"""Reads each SAML provider's metadata and looks at its keys, for `authz doctor`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from authz_service.commands.doctor_checks import Finding, Status
from authz_service.config.identity_values import SamlProvider
from authz_service.config.model import Config
from authz_service.errors import AuthzError
from authz_service.identity.download import new_client, reason
from authz_service.identity.saml.extra import HOW, require_saml

SOON: Final = 30 * 86_400.0
"""Seconds before the end of a certificate or of metadata at which that is said."""


def check_saml(config: Config) -> Iterator[Finding]:
    """Metadata must be there, and good for a while; a person must not be two."""
    providers = config.identity.saml
    if not providers:
        return
    try:
        require_saml(config)
    except AuthzError as error:
        yield Finding("saml", Status.FAIL, str(error), HOW)
        return
    for provider in providers:
        yield asyncio.run(_provider(provider))
    people = [issuer.person is not None for issuer in config.identity.issuers]
    people += [provider.person is not None for provider in providers]
    if len(people) > 1 and not all(people):
        message = "one person with accounts at two issuers counts as two, and could approve their own request"
        step = "name the attribute that is the same at all of them: identity.saml[].person"
        yield Finding("saml", Status.WARN, message, step)


async def _provider(provider: SamlProvider) -> Finding:
    from authz_service.identity.saml.providers import MetadataSource

    name = f"saml {provider.name}"
    try:
        async with new_client() as client:
            found = await MetadataSource(provider, client).fetch()
    except Exception as error:  # of whatever kind: what a server says is never repeated
        why = str(error) if isinstance(error, AuthzError) else reason(error)
        step = "correct metadata, entity_id or signed_by, or get the metadata anew from the provider"
        return Finding(name, Status.FAIL, f"its metadata cannot be used ({why})", step)
    now = time.time()
    last = max(certificate.not_valid_after_utc.timestamp() for certificate in found.certificates)
    ends = [("its last certificate for signing", last)]
    ends += [] if found.valid_until is None else [("its metadata", found.valid_until)]
    what, end = min(ends, key=lambda each: each[1])
    count = "1 key" if len(found.certificates) == 1 else f"{len(found.certificates)} keys"
    if end < now:
        step = "have the provider make a new one, and get its metadata anew"
        return Finding(name, Status.FAIL, f"{what} has expired, so nobody can log in", step)
    if end < now + SOON:
        days = (end - now) / 86_400
        return Finding(name, Status.WARN, f"{what} expires in {days:.0f} days", "get its metadata anew")
    return Finding(name, Status.OK, f"{count}, and logins at {found.sign_on}")
