"""Batch clients that bring an assertion get a token of a service account."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from tests.identity.saml_idp import (
    Say,
    sign,
)
from tests.runtime.saml_desk import SAML2, SamlDesk, landing
from tests.runtime.saml_served import Run, record, refusal, served
from tests.store.places import Place

SERVICE = {
    "groups": ("staff",),
    "mail": ("batch@example.com",),
    "scope": ("model:llama",),
    "owner": ("olga",),
}


async def granted(desk: SamlDesk, say: Say, **more: str) -> httpx.Response:
    """What a batch client does."""
    assertion = base64.urlsafe_b64encode(etree.tostring(sign(say.text()))).rstrip(b"=").decode()
    form = {"grant_type": SAML2, "assertion": assertion}
    return await desk.client.post(f"{desk.issuer}/token", data=form | more)


async def batch(desk: SamlDesk, **changes: Any) -> Say:
    """What a provider says of a batch client."""
    begun = await desk.begin()
    plain: dict[str, Any] = {
        "recipient": f"{desk.issuer}/token",
        "in_response_to": None,
        "attributes": SERVICE,
        "subject": "batch",
        "statement": False,
    }
    return desk.say(begun, **(plain | changes))


def test_a_batch_client_gets_a_gateways_token_of_a_service_account_for_an_assertion(
    place: Place, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            say = await batch(desk)
            answer = await granted(desk, say)
            assert answer.status_code == 200, answer.text
            told = answer.json()
            assert (told["token_type"], "refresh_token" in told) == ("Bearer", False)
            verifier = desk.verifier()
            caller = await verifier.verify_gateway(told["access_token"])
            await verifier.close()
            assert (caller.subject, caller.scope) == ("batch", ("model:llama",))
            assert caller.claims["owner"] == "olga"
            assert await refusal(desk, told["access_token"], is_review=True) == "wrong_audience"
            assert record(place.url)[-1][1]["door"] == "batch"
            again = await granted(desk, say)
            assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
            assert "saml_replayed" in again.json()["error_description"]

    run(scenario())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"in_response_to": "_login"}, "saml_wrong_request"),
        ({"recipient": "ACS"}, "saml_wrong_recipient"),
        ({"attributes": {k: v for k, v in SERVICE.items() if k != "owner"}}, "saml_malformed"),
        ({"confirmed": -1.0}, "saml_expired"),
    ],
)
def test_what_is_for_a_browser_or_has_no_owner_is_no_batch_clients(
    changes: dict[str, Any], code: str, sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            changed = {k: f"{desk.issuer}/acs" if v == "ACS" else v for k, v in changes.items()}
            answer = await granted(desk, await batch(desk, **changed))
            assert (answer.status_code, code in answer.json()["error_description"]) == (400, True)
            assert record(sqlite_url)[-1][1] == {"provider": "corp", "door": "batch", "code": code}

    run(scenario())


def test_an_assertion_of_a_batch_client_opens_no_login(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            begun = await desk.begin()
            landed = landing(await desk.post(await batch(desk), begun))
            assert landed["error"] == "access_denied"

    run(scenario())


def test_without_batch_there_is_no_assertion_grant(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path, provider="person: mail") as desk:
            answer = await granted(desk, await batch(desk))
            assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
            found = await desk.client.get(
                f"{desk.listener.url}/.well-known/oauth-authorization-server/saml/corp"
            )
            assert found.json()["grant_types_supported"] == ["authorization_code"]
            assert record(sqlite_url) == []

    run(scenario())
