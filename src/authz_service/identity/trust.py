"""The issuers of a configuration, each with its keys, as one verifier."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

import httpx

from authz_service.config.identity_values import (
    EntraDirectory,
    GoogleDirectory,
    Identity,
    Issuer,
    LoginListener,
    SamlProvider,
)
from authz_service.config.identity_values import Lookup as Settings
from authz_service.config.identity_values import ServiceAccounts as Settled
from authz_service.config.model import Review
from authz_service.errors import Misconfigured
from authz_service.identity.api_keys import ApiKeys
from authz_service.identity.certificates import CertificateCallers
from authz_service.identity.claims import PersonClaim
from authz_service.identity.directory import Directory, read_secret
from authz_service.identity.download import is_safe, new_client
from authz_service.identity.embedded import (
    ALGORITHM,
    EMBEDDED_ISSUER,
    GATEWAY_AUDIENCE,
    LONGEST_TTL,
    EmbeddedIssuer,
)
from authz_service.identity.entra import EntraGroups
from authz_service.identity.google import GoogleGroups
from authz_service.identity.group_cache import GroupCache, Lookup
from authz_service.identity.groups import GroupClaim
from authz_service.identity.issuer import TrustedIssuer
from authz_service.identity.jwks_file import JwksFile
from authz_service.identity.jwks_url import Discovery, JwksUrl
from authz_service.identity.key_cache import KeyCache, KeyServer
from authz_service.identity.key_sources import FixedKeys, KeySource
from authz_service.identity.keys import VerifyingKey
from authz_service.identity.service_accounts import ServiceAccounts
from authz_service.identity.verifier import Verifier


def verifier_from(
    identity: Identity,
    review: Review,
    *,
    embedded: EmbeddedIssuer | None,
    clock: Callable[[], float] = time.time,
    api_keys: ApiKeys | None = None,
    pseudonym: Callable[[tuple[str, str]], str] = str,
    saml: tuple[LoginListener, VerifyingKey] | None = None,
) -> Verifier:
    """A verifier for the issuers of `authz.yaml`; `embedded` is needed where it is switched on.

    `saml` is where logins by SAML come to, and the key of the tokens that they end with; needed with
    `identity.saml`.

    Raises `Misconfigured` for issuers that cannot be trusted as they are listed. Call `warm` before
    the first request, and `close` at the end.
    """
    client = new_client()
    issuers = [_trusted(issuer, client) for issuer in identity.issuers]
    if identity.saml:
        if saml is None:
            raise Misconfigured("identity: SAML's providers are listed, and there is no key for their tokens")
        issuers += [_trusted_saml(provider, *saml) for provider in identity.saml]
    if identity.embedded:
        if issuers and not identity.embedded_votes:
            # Whoever can read its key is anybody they like, four-eyes included.
            raise Misconfigured(
                "identity: the embedded issuer together with others needs embedded_votes: true"
            )
        if embedded is None:
            raise Misconfigured("identity: the embedded issuer is switched on and has no key")
        issuers.append(trusted_embedded(embedded))
    return Verifier(
        issuers,
        review_audience=review.audience,
        clock=clock,
        then_close=client.aclose,
        api_keys=api_keys,
        pseudonym=pseudonym,
        certificates=CertificateCallers(identity.certificates, clock) if identity.certificates else None,
    )


def trusted_embedded(embedded: EmbeddedIssuer) -> TrustedIssuer:
    """Our own issuer as one of those that are trusted."""
    return TrustedIssuer(
        url=EMBEDDED_ISSUER,
        audience=GATEWAY_AUDIENCE,
        algorithms=(ALGORITHM,),
        keys=FixedKeys(embedded.key),
        max_lifetime=LONGEST_TTL,
    )


def _trusted(issuer: Issuer, client: httpx.AsyncClient) -> TrustedIssuer:
    person = PersonClaim(issuer.person, is_trusted=issuer.unverified_email) if issuer.person else None
    return TrustedIssuer(
        url=issuer.url,
        audience=issuer.audience,
        algorithms=issuer.algorithms,
        keys=_key_source(issuer, client),
        groups=GroupClaim(issuer.groups, issuer.groups_cut, issuer.groups_without_slash),
        person=person,
        lookup=_lookup(issuer.lookup, issuer, client) if issuer.lookup else None,
        max_lifetime=issuer.max_lifetime,
        services=_services(issuer.services),
    )


def saml_claims(provider: SamlProvider) -> tuple[GroupClaim, PersonClaim | None]:
    """How our own tokens say groups and person of those who came by an assertion."""
    groups = GroupClaim(("groups",), provider.groups_cut, provider.groups_without_slash)
    return groups, PersonClaim("person") if provider.person is not None else None


def _trusted_saml(provider: SamlProvider, listener: LoginListener, key: VerifyingKey) -> TrustedIssuer:
    groups, person = saml_claims(provider)
    return TrustedIssuer(
        url=provider.issuer(listener),
        audience=provider.audience,
        algorithms=(ALGORITHM,),
        keys=FixedKeys(key),
        groups=groups,
        person=person,
        max_lifetime=provider.lifetime,
    )


def _services(settings: Settled) -> ServiceAccounts:
    return ServiceAccounts(settings.having, settings.value, settings.lacking, settings.scopes)


def directory_of(settings: Settings, client: httpx.AsyncClient) -> Directory:
    """The directory of a lookup; raises `Misconfigured` when our secret for it cannot be read."""
    match settings.directory:
        case EntraDirectory() as entra:
            read_secret(entra.secret)
            return EntraGroups(client, entra)
        case GoogleDirectory() as google:
            read_secret(google.key)
            return GoogleGroups(client, google)
        case _ as never:
            assert_never(never)


def key_server(issuer: Issuer, client: httpx.AsyncClient) -> KeyServer | None:
    """Where an issuer's keys are fetched from; None where they are in a file."""
    if issuer.jwks and "://" not in issuer.jwks:
        return None
    # Over plain HTTP anybody on the way could put in keys of their own.
    if not is_safe(issuer.jwks or issuer.url):
        raise Misconfigured(f"issuer {issuer.url}: jwks must be an https URL or a file")
    return JwksUrl(issuer.jwks, client) if issuer.jwks else Discovery(issuer.url, client)


def _lookup(settings: Settings, issuer: Issuer, client: httpx.AsyncClient) -> Lookup:
    cache = GroupCache(directory_of(settings, client), fresh=settings.fresh, stale=settings.stale)
    return Lookup(cache, settings.member, is_email_trusted=issuer.unverified_email)


def _key_source(issuer: Issuer, client: httpx.AsyncClient) -> KeySource:
    server = key_server(issuer, client)
    if server is None:
        return JwksFile(Path(issuer.jwks), longest_outage=issuer.stale_keys)
    return KeyCache(server, longest_outage=issuer.stale_keys)
