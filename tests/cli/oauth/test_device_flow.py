"""The device flow: how often is asked, and how it ends."""

from __future__ import annotations

import pytest
from tests.cli.oauth.conftest import ScriptedProvider

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.client import Client
from authz_cli.oauth.device_flow import new_code, wait_for
from authz_cli.oauth.grants import Grant
from authz_cli.oauth.provider import discover

DEVICE = {"device_code": "d-secret", "user_code": "AB-CD", "expires_in": 60, "interval": 5}


class Clock:
    """Time goes on by resting alone."""

    def __init__(self) -> None:
        self.rests: list[float] = []

    def now(self) -> float:
        return sum(self.rests)


def run(scripted: ScriptedProvider, clock: Clock) -> Grant:
    client, provider = Client(scripted.issuer, "cli"), discover(scripted.issuer)
    scripted.answers["/device"] = [(200, DEVICE | {"verification_uri": f"{scripted.issuer}/code"})]
    code = new_code(provider, client, "")
    assert (code.user_code, code.address) == ("AB-CD", f"{scripted.issuer}/code")
    return wait_for(provider, client, "", code, clock=clock.now, rest=clock.rests.append)


def test_it_asks_until_confirmed_and_slower_when_told_so(provider: ScriptedProvider) -> None:
    clock = Clock()
    pending, slower = (400, {"error": "authorization_pending"}), (400, {"error": "slow_down"})
    provider.answers["/token"] = [pending, slower, pending, (200, provider.grant())]
    assert run(provider, clock).subject == "rita"
    assert clock.rests == [5, 5, 10, 10]


@pytest.mark.parametrize(
    ("error", "code"), [("access_denied", Exit.NOT_PERMITTED), ("expired_token", Exit.UNDECIDED)]
)
def test_a_refusal_and_the_end_of_the_code_end_it(provider: ScriptedProvider, error: str, code: Exit) -> None:
    provider.answers["/token"] = [(400, {"error": error})]
    with pytest.raises(Failure) as caught:
        run(provider, Clock())
    assert caught.value.exit_code == code
    assert "d-secret" not in caught.value.format_message()


def test_it_ends_by_our_clock_too(provider: ScriptedProvider) -> None:
    clock = Clock()
    provider.answers["/token"] = [(400, {"error": "authorization_pending"})]
    with pytest.raises(Failure, match="in time"):
        run(provider, clock)
    assert clock.now() == 60


def test_a_provider_without_the_flow_is_said_to_have_none(provider: ScriptedProvider) -> None:
    silent = provider.metadata(device_authorization_endpoint="")
    provider.answers["/.well-known/openid-configuration"] = [(200, silent)]
    with pytest.raises(Failure, match="without --no-browser"):
        new_code(discover(provider.issuer), Client(provider.issuer, "cli"), "")
