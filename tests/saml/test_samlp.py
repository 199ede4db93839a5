"""People of a real SAML provider log in and ask a model; what that provider can do wrong is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.saml import Corp, new_corp, saml_config
from tests.e2e.stack import CHAT, Stack
from tests.identity.saml_idp import signer
from tests.oidc.desk import Desk, Typed
from tests.saml.provider_process import SamlProvider, submitted


@pytest.fixture(scope="module")
def corp() -> Corp:
    return new_corp()


@pytest.fixture(scope="module")
def provider(corp: Corp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SamlProvider]:
    with SamlProvider(tmp_path_factory.mktemp("provider"), issuer=corp.issuer) as running:
        yield running


@pytest.fixture(scope="module")
def stack(corp: Corp, provider: SamlProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway that has the provider's metadata from its URL."""
    folder = tmp_path_factory.mktemp("gateway")
    config = saml_config(folder, corp)
    config = config.replace("https://idp.example.com/saml", provider.entity_id)
    config = config.replace("metadata: corp.xml", f'metadata: "{provider.url}/metadata", sign_requests: true')
    with Stack(folder, config=config) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "config", provider=None)  # type: ignore[arg-type]  # no OpenID provider here


def logged_in(
    desk: Desk, stack: Stack, provider: SamlProvider, login: str, *words: str, how: str = "good"
) -> tuple[int, str]:
    """`authz login` with that provider; exit code, and standard error."""
    server = ("--server", stack.info["review"])
    with Typed(desk, "login", "--storage", "file", *server, *words) as typed:
        url = typed.until_said(r"(http://\S+/authorize\?\S+)")
        answer = provider.browse(url, login, how=how)
        assert answer.status_code == 303, answer.text
        httpx.get(answer.headers["location"], timeout=10)
        code, _, err = typed.ended()
        return code, err


@pytest.mark.parametrize("how", ["good", "both", "insisting"])
def test_a_caller_logs_in_and_asks_a_model(
    how: str, desk: Desk, stack: Stack, corp: Corp, provider: SamlProvider
) -> None:
    provider.know(httpx.get(f"{corp.issuer}/metadata", timeout=10).content)
    code, err = logged_in(desk, stack, provider, "alice.staff.leads", "--gateway", how=how)
    assert code == 0, err
    token = desk.type("token").stdout.strip()
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.post(f"{stack.url}/v1/chat/completions", json=CHAT, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text


def test_a_reviewer_logs_in_and_reads_the_holds(desk: Desk, stack: Stack, provider: SamlProvider) -> None:
    code, err = logged_in(desk, stack, provider, "rita.reviewers", "--saml", "corp")
    assert code == 0, err
    listed = desk.type("hold", "list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("sha1", "an algorithm that is not accepted"),
        ("response-only", "have the provider sign assertions"),
        ("encrypted", "encrypted assertion"),
    ],
)
def test_what_is_not_strict_enough_is_refused_with_what_to_change(
    how: str, code: str, desk: Desk, stack: Stack, provider: SamlProvider
) -> None:
    ended, err = logged_in(desk, stack, provider, "alice.staff", how=how)
    assert (ended != 0, code in " ".join(err.split())) == (True, True), err


def test_a_provider_that_insists_on_signed_requests_takes_no_other(
    stack: Stack, corp: Corp, provider: SamlProvider
) -> None:
    assert stack.url  # it runs
    other = signer("other").der.join(
        ("<a><KeyDescriptor><X509Certificate>", "</X509Certificate></KeyDescriptor></a>")
    )
    provider.know(other.encode())
    query = {
        "client_id": "authz-gateway",
        "response_type": "code",
        "redirect_uri": "http://127.0.0.1:9/callback",
    }
    proof = {"state": "s", "code_challenge": "A" * 43, "code_challenge_method": "S256"}
    begun = httpx.get(f"{corp.issuer}/authorize", params=query | proof, timeout=10)
    where = f"{begun.headers['location']}&login=alice.staff&how=insisting"
    assert "SAMLResponse" not in httpx.get(where, timeout=10).text
    provider.know(httpx.get(f"{corp.issuer}/metadata", timeout=10).content)
    assert "SAMLResponse" in httpx.get(where, timeout=10).text
    unsigned = where.partition("&SigAlg=")[0] + "&login=alice.staff&how=insisting"
    assert "SAMLResponse" not in httpx.get(unsigned, timeout=10).text


def test_a_login_that_the_provider_begins_is_refused(stack: Stack, provider: SamlProvider) -> None:
    assert stack.url  # it runs
    answer = submitted(httpx.get(f"{provider.url}/sso", params={"login": "alice.staff"}, timeout=10))
    assert (answer.status_code, "saml_unsolicited" in answer.text) == (401, True), answer.text
    assert "location" not in answer.headers
