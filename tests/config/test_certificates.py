"""`identity.certificates`: services by name, each with an owner and a scope."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.config.identity_values import CertificateService, ClientCertificates
from authz_service.config.read import Loaded

Faults = Callable[[str], list[tuple[int, int, str]]]
TLS = 'listen: {address: "127.0.0.1:8443", tls: {cert: c.pem, key: k.pem}}\n'
GOOD = '{name: "spiffe://example.com/batch", owner: olga, scope: ["model:llama"]}'


def section(*services: str, more: str = "authority: clients.crt") -> str:
    listed = ", ".join(services)
    return f"identity:\n  certificates: {{{more}, services: [{listed}]}}\n"


def test_services_are_listed_by_name(load: Callable[[str], Loaded], smallest: str) -> None:
    more = "authority: clients.crt, with_token: token"
    found = load(smallest + TLS + section(GOOD, more=more)).config.identity
    assert found.certificates == ClientCertificates(
        Path("/etc/authz/clients.crt"),
        (CertificateService("spiffe://example.com/batch", "olga", ("model:llama",)),),
        yields_to_token=True,
    )
    assert found.embedded


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (section(GOOD), "without TLS nobody shows a certificate"),
        (TLS + section(GOOD, GOOD), "two services have the same name"),
        (TLS + section(GOOD, more="with_token: refuse"), "authority is missing"),
        (TLS + section(), "must not be empty"),
        (TLS + section('{name: a, scope: ["model:llama"]}'), "owner is missing"),
        (TLS + section("{name: a, owner: olga}"), "scope is missing"),
        (TLS + section("{name: a, owner: olga, scope: [llama]}"), "model:NAME, api:NAME or path:PATH"),
        (TLS + section(GOOD, more="authority: a, with_token: both"), "must be refuse or token"),
        (TLS + section(GOOD, more="authority: a, xfcc: true"), "unknown key 'xfcc'"),
    ],
)
def test_what_is_missing_or_could_not_work_is_refused(
    faults: Faults, smallest: str, text: str, message: str
) -> None:
    found = faults(smallest + text)
    assert any(message in said for _, _, said in found), found
