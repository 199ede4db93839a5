"""`identity.saml` and `login.listen`: what they say, and what could not work is a fault with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from authz_service.config.identity_values import SamlBatch, SamlProvider
from authz_service.config.read import Loaded

Faults = Callable[[str], list[tuple[int, int, str]]]
LOGIN = 'login: {url: "https://login.example.com/", listen: {address: "127.0.0.1:8444"}}\n'
CORP = 'name: corp, entity_id: "https://idp.example.com", metadata: corp.xml, audience: llm-gateway'

TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"


def identity(*providers: str, more: str = "") -> str:
    """The section with these providers."""
    listed = ", ".join(f"{{{provider}}}" for provider in providers)
    return f"identity: {{saml: [{listed}]{more}}}\n"


def test_a_provider_needs_little_and_is_the_only_issuer(load: Callable[[str], Loaded], smallest: str) -> None:
    config = load(smallest + identity(CORP) + LOGIN).config
    assert not config.identity.embedded
    assert config.identity.saml == (
        SamlProvider("corp", "https://idp.example.com", "/etc/authz/corp.xml", "llm-gateway"),
    )
    assert (config.identity.saml[0].lifetime, config.identity.saml[0].batch) == (3600.0, None)
    assert config.issuer_urls == ("https://login.example.com/saml/corp",)
    assert config.logins.listener is not None
    assert (config.logins.listener.url, config.logins.listener.port) == ("https://login.example.com", 8444)


def test_everything_can_be_said(load: Callable[[str], Loaded], smallest: str) -> None:
    more = (
        "subject: uid, groups: memberOf, groups_cut: 0, groups_without_slash: true, person: mail,"
        " lifetime: 8h, signed_by: federation.pem, batch: {scope: urn:scope, owner: manager}"
    )
    assert SamlProvider("", "", "", "").name_format.endswith(":persistent")
    url = CORP.replace("corp.xml", '"https://idp.example.com/metadata?appid=1"')
    (provider,) = load(smallest + identity(f"{url}, {more}") + LOGIN).config.identity.saml
    assert provider.metadata == "https://idp.example.com/metadata?appid=1"
    assert (provider.subject, provider.groups, provider.person) == ("uid", "memberOf", "mail")
    assert (provider.groups_cut, provider.groups_without_slash, provider.lifetime) == (0, True, 28_800.0)
    assert provider.signed_by == Path("/etc/authz/federation.pem")
    assert provider.batch == SamlBatch("urn:scope", "manager")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("persistent", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"),
        ("email", "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"),
        ("unspecified", "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"),
        ("urn:example:name", "urn:example:name"),
    ],
)
def test_one_format_of_names_counts(
    said: str, meant: str, load: Callable[[str], Loaded], smallest: str
) -> None:
    (provider,) = load(smallest + identity(f'{CORP}, name_format: "{said}"') + LOGIN).config.identity.saml
    assert provider.name_format == meant


def test_rules_name_whose_groups_they_mean_with_two_providers(faults: Faults, smallest: str) -> None:
    other = CORP.replace("corp", "other").replace("idp.example", "other.example")
    rule = "requests: {rules: [{name: staff, when: \"'staff' in caller.groups\", effect: allow}]}\n"
    found = faults(smallest + identity(CORP, other) + LOGIN + rule)
    assert any("requests.rules[0]" in said and "whose groups" in said for _, _, said in found), found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (identity(CORP), "url is missing"),
        (identity(CORP) + 'login: {url: "https://login.example.com"}\n', "listen is missing"),
        (LOGIN, "means nothing without identity.saml"),
        (identity(CORP) + LOGIN.replace("https:", "http:"), "must be an https:// URL"),
        (identity(CORP) + LOGIN.replace("com/", "com/authz"), "must end with the host"),
        (identity(CORP) + LOGIN.replace("127.0.0.1", "0.0.0.0"), "so tls is needed"),
        (identity(CORP.replace("corp,", "Corp!,")) + LOGIN, "small letters"),
        (identity(CORP.replace("corp.xml", '"http://idp.example.com/m"')) + LOGIN, "must come over https"),
        (identity(CORP, CORP) + LOGIN, "two providers have the same name"),
        (identity(CORP, CORP.replace("corp,", "two,")) + LOGIN, "two providers have the same entity_id"),
        (identity(CORP.replace(", metadata: corp.xml", "")) + LOGIN, "metadata is missing"),
        (identity(CORP.replace("llm-gateway", "authz-review")) + LOGIN, "tokens have one use"),
        (identity(f"{CORP}, lifetime: 13h") + LOGIN, "must be from"),
        (identity(f"{CORP}, name_format: transient") + LOGIN, "another at each login"),
        (identity(f'{CORP}, name_format: "{TRANSIENT}"') + LOGIN, "another at each login"),
        (identity(f"{CORP}, name_format: mail") + LOGIN, "persistent, email, unspecified or a URI"),
        (identity(f"{CORP}, subject: uid, name_format: email") + LOGIN, "means nothing beside subject"),
        (identity(f"{CORP}, batch: {{}}") + LOGIN, "needs person"),
        (identity(f"{CORP}, role: x") + LOGIN, "unknown key 'role'"),
        (identity(f"{CORP}, batch: {{scopes: x}}") + LOGIN, "unknown key 'scopes'"),
        (identity(CORP, more=", embedded: true") + LOGIN, "embedded_votes: true"),
        (LOGIN.replace("}\n", ", review: {issuer: x, client: y}}\n"), "listen"),
    ],
)
def test_what_could_not_work_is_refused(faults: Faults, smallest: str, text: str, message: str) -> None:
    found = faults(smallest + text)
    assert any(message in said for _, _, said in found), found
