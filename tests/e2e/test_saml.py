"""People log in by SAML with `authz login`, ask and review; batch clients bring assertions of their own."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from lxml import etree
from tests.e2e.saml import Corp, new_corp, saml_config
from tests.e2e.stack import CHAT, Stack
from tests.identity.saml_idp import sign
from tests.oidc.desk import Desk, Typed

pytestmark = pytest.mark.e2e

BATCH = "person: mail, batch: {scope: scope, owner: owner}"


@pytest.fixture(scope="module")
def corp() -> Corp:
    return new_corp()


@pytest.fixture(scope="module")
def stack(corp: Corp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("gateway")
    with Stack(folder, config=saml_config(folder, corp, provider=BATCH)) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "config", provider=None)  # type: ignore[arg-type]  # no OpenID provider here


def log_in(desk: Desk, corp: Corp, stack: Stack, who: tuple[str, ...], *words: str) -> tuple[int, str, str]:
    """`authz login` with a browser; exit code, standard output, standard error."""
    server = ("--server", stack.info["review"])
    with Typed(desk, "login", "--storage", "file", *server, *words) as typed:
        url = typed.until_said(r"(http://\S+/authorize\?\S+)")
        answer = corp.browse(url, *who)
        assert answer.status_code == 303, answer.text
        assert httpx.get(answer.headers["location"], timeout=60).status_code == 200
        return typed.ended()


def ask(stack: Stack, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{stack.url}/v1/chat/completions", json=CHAT, headers=headers, timeout=60)


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_a_person_logs_in_for_the_gateway_and_their_token_opens_no_review(
    desk: Desk, corp: Corp, stack: Stack
) -> None:
    code, out, err = log_in(desk, corp, stack, ("alice", "staff", "reviewers"), "--saml", "corp", "--gateway")
    assert (code, out.split(";")[0]) == (0, "logged in as alice for the gateway"), err
    token = desk.type("token").stdout.strip()
    assert claims(token)["aud"] == "llm-gateway"
    assert ask(stack, token).status_code == 200
    refused = stack.cli("hold", "list", "--server", stack.info["review"], token=token, check=None)
    assert refused.returncode != 0
    assert "authz-review" in refused.stderr


def test_a_reviewer_approves_what_a_contractor_asks_and_nobody_their_own(
    desk: Desk, corp: Corp, stack: Stack, tmp_path: Path
) -> None:
    carl = Desk(tmp_path / "carl", provider=desk.provider)
    assert log_in(carl, corp, stack, ("carl", "contractors", "reviewers"), "--gateway")[0] == 0
    assert log_in(carl, corp, stack, ("carl", "contractors", "reviewers"))[0] == 0
    # Without --saml: there is one provider, and `login` says nothing else.
    assert log_in(desk, corp, stack, ("rita", "reviewers"))[0] == 0
    token = carl.type("token").stdout.strip()
    answer = httpx.post(
        f"{stack.url}/v1/chat/completions",
        json=CHAT,
        headers={"authorization": f"Bearer {token}", "prefer": "respond-async"},
        timeout=60,
    )
    assert answer.status_code == 409, answer.text
    (hold,) = json.loads(desk.type("hold", "list", "--json").stdout)
    own = carl.type("hold", "approve", hold["id"], "--reason", "mine", "--yes")
    assert own.returncode != 0, own.stdout
    done = desk.type("hold", "approve", hold["id"], "--reason", "fine", "--yes")
    assert done.returncode == 0, done.stderr
    assert ask(stack, token).status_code == 200


def test_a_refused_login_ends_the_command_with_the_reason(desk: Desk, corp: Corp, stack: Stack) -> None:
    with Typed(desk, "login", "--storage", "file", "--server", stack.info["review"]) as typed:
        url = typed.until_said(r"(http://\S+/authorize\?\S+)")
        answer = corp.browse(url, "alice", "staff", audience="https://other.example.com")
        httpx.get(answer.headers["location"], timeout=60)
        code, out, err = typed.ended()
    assert (code != 0, out) == (True, "")
    assert "for another audience" in err
    assert not (desk.home / "authz" / "logins.json").exists()


def test_a_provider_that_there_is_not_is_named_with_those_that_there_are(desk: Desk, stack: Stack) -> None:
    done = desk.type("login", "--saml", "other", "--server", stack.info["review"])
    assert (done.returncode, "it has corp" in done.stderr) == (2, True), done.stderr


def test_a_batch_client_asks_the_models_of_its_scope_and_no_others(corp: Corp, stack: Stack) -> None:
    attributes = {"groups": ("staff",), "mail": ("batch@example.com",), "owner": ("olga",)}

    def token(scope: str) -> str:
        told = attributes | ({"scope": (scope,)} if scope else {})
        say = corp.say(None, "batch", recipient=f"{corp.issuer}/token", attributes=told)
        assertion = base64.urlsafe_b64encode(etree.tostring(sign(say.text()))).decode()
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:saml2-bearer", "assertion": assertion}
        answer = httpx.post(f"{corp.issuer}/token", data=form, timeout=60)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    assert ask(stack, token("model:llama")).status_code == 200
    assert ask(stack, token("model:other")).json()["error"]["code"] == "out_of_scope"
    assert ask(stack, token("")).json()["error"]["code"] == "no_scope"


def test_no_assertion_code_or_token_is_in_any_log(stack: Stack) -> None:
    files = [*(stack.data / "logs").glob("*"), stack.folder / "up.log"]
    said = "".join(file.read_text(errors="replace") for file in files)
    assert "saml.listening" in said
    for secret in ("PHNhbWw", "SAMLResponse", "eyJ", "alice", "code=", "_request"):
        assert secret not in said, secret


def test_the_doctor_and_our_metadata_know_the_provider(corp: Corp, stack: Stack) -> None:
    config = ("--config", str(stack.config_file))
    found = json.loads(stack.cli("doctor", "--json", *config, check=None).stdout)
    (ours,) = (finding for finding in found if finding["check"] == "saml corp")
    assert (ours["status"], ours["message"]) == ("ok", "1 key, and logins at https://idp.example.com/sso")
    printed = stack.cli("saml", "metadata", *config).stdout
    assert printed == httpx.get(f"{corp.issuer}/metadata", timeout=60).text


def test_logins_are_exported_verified_and_forgotten_with_their_person(
    desk: Desk, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, corp = tmp_path_factory.mktemp("gateway"), new_corp()
    with Stack(folder, config=saml_config(folder, corp)) as stack:
        for who in ("alice", "rita"):
            assert log_in(desk, corp, stack, (who, "reviewers"))[0] == 0
    config = ("--config", str(stack.config_file))
    stack.cli("audit", "verify", *config)

    def exported(name: str) -> bytes:
        stack.cli("audit", "export", str(folder / name), *config)
        verify = [sys.executable, str(folder / name / "verify.py")]
        done = subprocess.run(verify, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return b"".join(file.read_bytes() for file in (folder / name).rglob("*") if file.is_file())

    before = exported("before")
    erase = ("record", "erase", "--subject", "alice@example.com", "--reason", "asked for it", "--yes")
    stack.cli(*erase, *config)
    stack.cli("audit", "verify", *config)
    after = exported("after")
    for content, names in ((before, [True, True]), (after, [False, True])):
        assert [_has(content, f"{name}@example.com") for name in ("alice", "rita")] == names


def _has(content: bytes, name: str) -> bool:
    """Whether a name is in an export, as it is or in base64 at any offset."""
    encoded = (base64.b64encode(b"x" * shift + name.encode())[4:-4] for shift in range(3))
    return name.encode() in content or any(each in content for each in encoded)


def test_logging_out_forgets_the_login(desk: Desk, corp: Corp, stack: Stack) -> None:
    assert log_in(desk, corp, stack, ("alice", "reviewers"))[0] == 0
    told = desk.type("auth", "status", "--json")
    assert corp.issuer in told.stdout, told
    done = desk.type("auth", "logout", "--server", stack.info["review"])
    assert done.returncode == 0, done.stderr
    assert desk.type("hold", "list", "--server", stack.info["review"]).returncode != 0


def test_the_record_verifies_with_its_logins(stack: Stack) -> None:
    stack.cli("audit", "verify", "--config", str(stack.config_file))


def test_where_logins_come_in_takes_a_restart(corp: Corp, stack: Stack) -> None:
    before = stack.config
    stack.config = before.replace(f'url: "{corp.url}"', f'url: "{new_corp().url}"')
    assert stack.config != before
    kept = stack.reload()
    stack.config = before
    assert (kept["event"], "logins" in kept["error"], "restart" in kept["error"]) == (
        "policy.kept",
        True,
        True,
    )
