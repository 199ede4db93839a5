"""Issuers in the configuration, and where the groups of their people are looked up."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.config.config_texts import Faults, Load

from authz_service.config.identity_values import EntraDirectory, GoogleDirectory, Lookup, ServiceAccounts

ISSUER = "{url: 'https://i.example', audience: gw, algorithms: [RS256], jwks: keys.json}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'https://i.example'", "'ldap://i'", "http:// or https://"),
        ("'https://i.example'", "'https://a:b@i.example'", "without user and password"),
        ("[RS256]", "[HS256]", "must not be able to sign"),
        ("[RS256]", "[none]", "must not be able to sign"),
        ("[RS256]", "[]", "must not be empty"),
        ("[RS256]", "[RS256, RS256]", "twice"),
        ("jwks: keys.json", "jwks: 'http://i.example/keys'", "must come over https"),
        ("jwks: keys.json", "jwks: keys.json, stale_keys: 8d", "from 5m to 7d"),
        ("jwks: keys.json", "groups_cut: -1", "from 0 to 10000"),
        ("jwks: keys.json", "unverified_email: true", "person: email"),
        ("audience: gw", "audience: authz-review", "tokens have one use"),
        ("jwks: keys.json", "jwks: keys.json, max_lifetime: 90d", "from 1m to 30d"),
        ("jwks: keys.json", "service_accounts: {with: [x], without: [y]}", "name either"),
        ("jwks: keys.json", "service_accounts: {value: app}", "means nothing without with"),
        ("jwks: keys.json", "service_accounts: {with: client_id}", "must be a list"),
        ("jwks: keys.json", "service_accounts: {claim: [x]}", "unknown key"),
    ],
)
def test_an_issuer_that_could_be_impersonated_is_refused(
    faults: Faults, smallest: str, old: str, new: str, message: str
) -> None:
    issuer = ISSUER.replace(old, new)
    found = faults(f"{smallest}identity: {{issuers: [{issuer}]}}")
    assert any(message in words for _, _, words in found), found
    assert not any("a:b" in words for _, _, words in found)


def test_an_issuer_without_a_key_set_is_asked_for_it_where_nobody_can_answer_in_its_place(
    faults: Faults, load: Load, smallest: str
) -> None:
    bare = ISSUER.replace(", jwks: keys.json", "")
    (issuer,) = load(f"{smallest}identity: {{issuers: [{bare}]}}").config.identity.issuers
    assert (issuer.jwks, issuer.stale_keys, issuer.groups_cut) == ("", 86_400.0, 100)
    found = faults(f"{smallest}identity: {{issuers: [{bare.replace('https:', 'http:')}]}}")
    assert any("must come over https" in words for _, _, words in found), found
    load(f"{smallest}identity: {{issuers: [{bare.replace('https://i.example', 'http://127.0.0.1:8080')}]}}")


def test_service_accounts_are_told_by_the_usual_signs_unless_an_issuer_has_its_own(
    load: Load, smallest: str
) -> None:
    def services(more: str) -> ServiceAccounts:
        text = ISSUER.replace("jwks: keys.json", f"jwks: keys.json{more}")
        return load(f"{smallest}identity: {{issuers: [{text}]}}").config.identity.issuers[0].services

    assert services("") == ServiceAccounts((), None, (), ("scope",))
    entra = ", service_accounts: {with: [idtyp], value: app, scopes: [roles]}"
    assert services(entra) == ServiceAccounts(("idtyp",), "app", (), ("roles",))
    okta = ", service_accounts: {without: [uid], scopes: [scp]}"
    assert services(okta) == ServiceAccounts((), None, ("uid",), ("scp",))


ENTRA = "{directory: entra, tenant: corp.example, client: app-1, secret: graph.secret}"


GOOGLE = "{directory: google, key: google.json, admin: admin@corp.example}"


def test_a_lookup_of_groups_arrives_with_its_defaults(load: Load, smallest: str) -> None:
    def lookup(text: str) -> Lookup | None:
        issuer = ISSUER.replace("jwks", f"lookup: {text}, jwks")
        return load(f"{smallest}identity: {{issuers: [{issuer}]}}").config.identity.issuers[0].lookup

    base = Path("/etc/authz")
    entra = EntraDirectory("corp.example", "app-1", base / "graph.secret")
    assert lookup(ENTRA) == Lookup(entra, "oid", 300.0, 3600.0)
    google = GoogleDirectory(base / "google.json", "admin@corp.example")
    assert lookup(GOOGLE) == Lookup(google, "sub")
    more = ENTRA.replace(
        "}", ", member: upn, fresh: 1m, stale: 0s, login: 'https://l.us', api: 'https://g.us/'}"
    )
    national = EntraDirectory("corp.example", "app-1", base / "graph.secret", "https://l.us", "https://g.us")
    assert lookup(more) == Lookup(national, "upn", 60.0, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRA.replace("entra", "okta"), "must be entra or google"),
        (ENTRA.replace("tenant: corp.example, ", ""), "tenant is missing"),
        (ENTRA.replace("corp.example", "'a/../b'"), "an id or a domain's name"),
        (ENTRA.replace("}", ", api: 'http://graph.example'}"), "our secret"),
        (ENTRA.replace("}", ", api: 'https://graph.example/v1'}"), "without a path"),
        (ENTRA.replace("}", ", key: x}"), "unknown key 'key'"),
        (ENTRA.replace("}", ", fresh: 1s}"), "from 10s to 1h"),
        (GOOGLE.replace(", admin: admin@corp.example", ""), "admin is missing"),
        ("{}", "directory is missing"),
    ],
)
def test_a_lookup_that_could_not_work_or_would_tell_our_secret_is_refused(
    faults: Faults, smallest: str, text: str, message: str
) -> None:
    issuer = ISSUER.replace("jwks", f"lookup: {text}, jwks")
    found = faults(f"{smallest}identity: {{issuers: [{issuer}]}}")
    assert any(message in words for _, _, words in found), found


def test_the_embedded_issuer_beside_others_needs_the_operators_word(
    faults: Faults, load: Load, smallest: str
) -> None:
    both = f"{smallest}identity: {{embedded: true, issuers: [{ISSUER}]}}"
    assert [words for _, _, words in faults(both) if "embedded_votes" in words]
    named = "review: {reviewers: \"person.issuer == 'x' && 'r' in person.groups\", auditors: \"false\"}"
    allowed = both.replace("embedded: true", "embedded: true, embedded_votes: true")
    assert load(f"{allowed}\n{named}").config.identity.embedded_votes


def test_with_two_issuers_a_group_without_its_issuer_is_refused(faults: Faults, smallest: str) -> None:
    two = f"[{ISSUER}, {ISSUER.replace('i.example', 'j.example')}]"
    rule = """{name: a, effect: allow, when: "'s' in caller.groups"}"""
    text = f"{smallest}identity: {{issuers: {two}}}\nrequests: {{rules: [{rule}]}}"
    found = [words for _, _, words in faults(text)]
    for name in ("review.reviewers", "review.auditors", "requests.rules[0].when"):
        assert any(words.startswith(name) and "issuer" in words for words in found)
