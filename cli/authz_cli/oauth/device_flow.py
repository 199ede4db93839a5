"""Logging in with a browser elsewhere: a short code, and asking until it was confirmed (RFC 8628)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.asking import ask
from authz_cli.oauth.client import Client
from authz_cli.oauth.grants import Grant, client_form, read_grant
from authz_cli.oauth.provider import Provider

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST = 1800.0  # seconds that a code is waited for, whatever the provider says
PAUSE = 5.0  # seconds between two questions where the provider names none, and more when it says so (3.5)


@dataclass(frozen=True, slots=True)
class Code:
    """What the person types where (`user_code`), and what we ask with (`device_code`, a secret)."""

    user_code: str
    address: str
    whole_address: str
    device_code: str
    lifetime: float
    pause: float


def new_code(provider: Provider, client: Client, secret: str) -> Code:
    """Ask for one (RFC 8628 3.1)."""
    if not provider.device:
        message = f"{provider.issuer} offers no device flow; log in without --no-browser, or set AUTHZ_TOKEN"
        raise Failure(message, Exit.USAGE)
    form = client_form(client, secret) | {"scope": " ".join(client.scopes)}
    answer = ask(provider.device, form)
    # Google wrote verification_url before the standard was there, and still does.
    address = answer.text("verification_uri") or answer.text("verification_url")
    user_code, device_code = answer.text("user_code"), answer.text("device_code")
    if answer.status != 200 or not (address and user_code and device_code):
        raise Failure(f"{provider.issuer} gave no code: {answer.error}", Exit.NOT_PERMITTED)
    lifetime = min(_seconds(answer.content.get("expires_in"), LONGEST), LONGEST)
    pause = max(_seconds(answer.content.get("interval"), PAUSE), 1.0)
    return Code(user_code, address, answer.text("verification_uri_complete"), device_code, lifetime, pause)


def wait_for(
    provider: Provider,
    client: Client,
    secret: str,
    code: Code,
    *,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], None] = time.sleep,
) -> Grant:
    """Ask until the person has confirmed (RFC 8628 3.4, 3.5); raises `Failure` when they will not."""
    form = client_form(client, secret) | {"grant_type": GRANT, "device_code": code.device_code}
    pause, until = code.pause, clock() + code.lifetime
    while clock() < until:
        rest(pause)
        answer = ask(provider.token, form)
        if answer.status == 200:
            return read_grant(answer, client)
        match answer.text("error"):
            case "authorization_pending":
                continue
            case "slow_down":
                pause += PAUSE
            case "expired_token":
                break
            case _:
                raise Failure(f"the provider did not log you in: {answer.error}", Exit.NOT_PERMITTED)
    raise Failure("nobody confirmed the code in time; log in again", Exit.UNDECIDED)


def _seconds(value: object, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else default
