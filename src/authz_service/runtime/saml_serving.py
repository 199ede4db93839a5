"""Logins by SAML as a configuration has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from authz_service.config.identity_values import LoginListener
from authz_service.config.model import Config
from authz_service.identity.saml.box import Box
from authz_service.identity.saml.own_metadata import Own
from authz_service.identity.saml.providers import MetadataSource
from authz_service.identity.saml.request_signer import RequestSigner, new_signer
from authz_service.identity.saml.tokens import TokenSigner
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.runtime.saml_grants import SamlGrants
from authz_service.runtime.saml_logins import LoginStore, SamlLogins, Trusted


def request_signer(data: DataDir) -> RequestSigner:
    """What signs requests of logins, made when it is first asked for; raises `Misconfigured`."""
    return RequestSigner.of(load_or_create(data.saml_requests, lambda: new_signer(datetime.now(UTC))))


def saml_grants(
    config: Config,
    listener: LoginListener,
    secret: bytes,
    signer: RequestSigner,
    *,
    store: LoginStore,
    count: Callable[[str, str], None],
    pseudonym: Callable[[tuple[str, str]], str],
    client: httpx.AsyncClient,
    clock: Callable[[], float] = time.time,
) -> SamlGrants:
    """All of `identity.saml`. Replicas need the same `secret` and `signer`.

    Raises `Misconfigured` for a bad `signed_by`.
    `count`, `pseudonym` and `clock` are those of `SamlLogins`.
    """
    providers = {
        provider.name: Trusted(provider, Own.of(provider, listener), MetadataSource(provider, client, clock))
        for provider in config.identity.saml
    }
    logins = SamlLogins(config, providers, Box(secret), store, count, pseudonym, signer, clock)
    return SamlGrants(logins, TokenSigner(secret))
