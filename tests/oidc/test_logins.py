"""`authz login` at a real OpenID provider, by browser and by device, and what its tokens open."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from tests.e2e.issuers import config_with
from tests.e2e.stack import CHAT, Stack
from tests.oidc.desk import Desk, Typed, command
from tests.oidc.provider_process import AUDIENCE, Browser, OidcProvider

LOGIN = """\
login:
  review: {{issuer: "{issuer}", client: cli-review, resource: "urn:review"}}
  gateway: {{issuer: "{issuer}", client: cli-gateway, resource: "urn:gateway"}}
"""


@pytest.fixture(scope="module")
def stack(provider: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway whose reviewers are the provider's people, and which says where they log in."""
    config = config_with([provider.issuer], f"audience: {AUDIENCE}, algorithms: [RS256]")
    config = config.replace("person.issuer == 'urn:authz:embedded'", f"person.issuer == '{provider.issuer}'")
    config += LOGIN.format(issuer=provider.issuer).replace("{", "{{").replace("}", "}}")
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running


@pytest.fixture
def desk(provider: OidcProvider, tmp_path: Path) -> Desk:
    return Desk(tmp_path / "config", provider)


@pytest.fixture
def server(stack: Stack) -> str:
    review: str = stack.info["review"]
    return review


def saved(desk: Desk) -> list[dict[str, Any]]:
    """What is kept."""
    logins: list[dict[str, Any]] = json.loads((desk.home / "authz" / "logins.json").read_text())["logins"]
    return logins


def run_out(desk: Desk) -> None:
    """The token that is kept has ended."""
    path = desk.home / "authz" / "logins.json"
    found = json.loads(path.read_text())
    for login in found["logins"]:
        login["secrets"]["expires_at"] = time.time() - 1
    path.write_text(json.dumps(found))


def claims(token: str) -> dict[str, Any]:
    """What it says."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def ask(stack: Stack, token: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"}
    return httpx.post(f"{stack.url}/v1/chat/completions", json=CHAT, headers=headers, timeout=60)


def test_a_reviewer_logs_in_by_browser_and_reads_the_holds(desk: Desk, server: str) -> None:
    code, out, err = desk.log_in("rita.reviewers", "--server", server)
    assert (code, out.split(";")[0]) == (0, "logged in as rita.reviewers for the review API"), err
    listed = desk.type("hold", "list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, []), listed.stderr
    (login,) = saved(desk)
    assert claims(login["secrets"]["token"])["aud"] == "authz-review"
    assert (desk.home / "authz").stat().st_mode & 0o777 == 0o700
    assert (desk.home / "authz" / "logins.json").stat().st_mode & 0o777 == 0o600


def test_a_reviewer_logs_in_by_device(desk: Desk, server: str) -> None:
    code, out, err = desk.log_in_elsewhere("rolf.reviewers", "--server", server)
    assert (code, out.split(";")[0]) == (0, "logged in as rolf.reviewers for the review API"), err
    assert desk.type("hold", "list").returncode == 0


@pytest.mark.parametrize("flow", ["browser", "device"])
def test_the_helper_prints_a_token_for_the_gateway_and_the_review_api_refuses_it(
    desk: Desk, server: str, stack: Stack, flow: str
) -> None:
    log_in = desk.log_in if flow == "browser" else desk.log_in_elsewhere
    code, _, err = log_in("alice.staff.reviewers", "--server", server, "--gateway")
    assert code == 0, err
    done = desk.type("token")
    token = done.stdout.strip()
    assert (done.returncode, done.stderr, claims(token)["aud"]) == (0, "", AUDIENCE)
    assert ask(stack, token).status_code == 200
    told = json.loads(desk.type("token", "--json").stdout)
    assert (told["token"], told["audience"], told["expires_at"]) == (token, AUDIENCE, claims(token)["exp"])
    refused = subprocess.run(
        command(["hold", "list", "--server", server]),
        env=desk.environment() | {"AUTHZ_TOKEN": token},
        capture_output=True,
        text=True,
    )
    assert (refused.returncode, token in refused.stderr + refused.stdout) == (5, False)


def test_without_a_login_the_next_step_is_named(desk: Desk, server: str) -> None:
    helper, listing = desk.type("token"), desk.type("hold", "list", "--server", server)
    assert (helper.returncode, helper.stdout, "authz login --gateway" in helper.stderr) == (5, "", True)
    assert (listing.returncode, f"authz login --server {server}" in listing.stderr) == (5, True)
    assert desk.type("auth", "status").returncode == 5


def test_a_token_that_has_ended_is_renewed_once_by_many_helpers_at_a_time(desk: Desk, server: str) -> None:
    assert desk.log_in("alice.staff", "--server", server, "--gateway")[0] == 0
    (before,) = saved(desk)
    run_out(desk)
    helpers = [
        subprocess.Popen(
            command(["token"]),
            env=desk.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(5)
    ]
    said = [helper.communicate(timeout=60) for helper in helpers]
    assert len({out for out, _ in said}) == 1, said
    (after,) = saved(desk)
    assert said[0][0].strip() == after["secrets"]["token"] != before["secrets"]["token"]
    assert after["secrets"]["refresh_token"] != before["secrets"]["refresh_token"]  # this provider rotates


def test_a_refresh_token_that_was_used_before_ends_the_login_and_says_how_to_begin_anew(
    desk: Desk, server: str
) -> None:
    assert desk.log_in("alice.staff", "--server", server, "--gateway")[0] == 0
    stolen = (desk.home / "authz" / "logins.json").read_text()
    run_out(desk)
    assert desk.type("token").returncode == 0
    (desk.home / "authz" / "logins.json").write_text(stolen)
    run_out(desk)
    refused = desk.type("token")
    assert (refused.returncode, refused.stdout) == (5, "")
    assert f"authz login --gateway --server {server}" in refused.stderr


def test_logging_out_gives_the_login_back_to_the_provider(desk: Desk, server: str) -> None:
    assert desk.log_in("rita.reviewers", "--server", server)[0] == 0
    (login,) = saved(desk)
    listed = json.loads(desk.type("auth", "status", "--json").stdout)
    assert [(item["use"], item["subject"], item["server"]) for item in listed] == [
        ("review", "rita.reviewers", server)
    ]
    done = desk.type("auth", "logout")
    assert (done.returncode, saved(desk)) == (0, []), done.stderr
    form = {
        "grant_type": "refresh_token",
        "client_id": "cli-review",
        "refresh_token": login["secrets"]["refresh_token"],
    }
    answer = httpx.post(f"{desk.provider.issuer}/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_no_token_is_said_and_none_is_in_the_list_of_processes(desk: Desk, server: str) -> None:
    with Typed(desk, "login", "--storage", "file", "--server", server) as typed:
        url = typed.until_said(r"(http://\S+/auth\?\S+)")
        with Browser(desk.provider.issuer) as browser:
            landed = browser.log_in(browser.open(url), "rita.reviewers")
        listed = (
            Path(f"/proc/{typed.pid}/cmdline").read_bytes() + Path(f"/proc/{typed.pid}/environ").read_bytes()
        )
        httpx.get(landed, timeout=10)
        code, out, err = typed.ended()
    secrets = saved(desk)[0]["secrets"]
    assert code == 0
    for secret in (secrets["token"], secrets["refresh_token"], httpx.URL(landed).params["code"]):
        assert secret not in out + err + desk.type("auth", "status").stdout
        assert secret.encode() not in listed


def test_answers_that_are_not_to_our_question_are_passed_over(desk: Desk, server: str) -> None:
    with Typed(desk, "login", "--storage", "file", "--server", server) as typed:
        url = typed.until_said(r"(http://\S+/auth\?\S+)")
        redirect = httpx.URL(url).params["redirect_uri"]
        for query in ("", "?code=theirs", "?code=theirs&state=guessed", "?error=access_denied"):
            assert httpx.get(f"{redirect}{query}").status_code == 400
        with Browser(desk.provider.issuer) as browser:
            landed = browser.log_in(browser.open(url), "rita.reviewers")
        assert httpx.get(landed).status_code == 200
        assert typed.ended()[0] == 0


def test_an_answer_of_another_provider_is_not_exchanged(desk: Desk, server: str) -> None:
    with Typed(desk, "login", "--storage", "file", "--server", server) as typed:
        url = httpx.URL(typed.until_said(r"(http://\S+/auth\?\S+)"))
        answer = {"code": "x", "state": url.params["state"], "iss": "https://evil.example"}
        httpx.get(url.params["redirect_uri"], params=answer)
        code, _, err = typed.ended()
    assert (code, "another provider" in err) == (1, True)


def test_a_provider_that_is_named_by_hand_needs_no_server_for_the_gateway(desk: Desk, stack: Stack) -> None:
    words = ("--gateway", "--issuer", desk.provider.issuer, "--client-id", "cli-gateway")
    assert desk.log_in("alice.staff", *words)[0] == 0
    assert ask(stack, desk.type("token").stdout.strip()).status_code == 200
