"""The authorization code flow of a native app: what the browser is sent with, and what may come back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from authz_cli.exits import Exit, Failure
from authz_cli.oauth.client import Client
from authz_cli.oauth.provider import Provider


@dataclass(frozen=True, slots=True)
class Attempt:
    """What ties an answer to the one login that asked for it."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Attempt:
        """256 random bits each; the verifier has the 43 characters that RFC 7636 4.1 asks for."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    def is_answered_by(self, query: str) -> bool:
        """Whether an answer has our state (RFC 6749 10.12); whoever guesses at it is passed over."""
        found = parse_qs(query).get("state", [])
        return len(found) == 1 and hmac.compare_digest(found[0].encode(), self.state.encode())


def authorization_url(provider: Provider, client: Client, attempt: Attempt, redirect: str) -> str:
    """Where the browser goes (RFC 6749 4.1.1, RFC 7636 4.3)."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest())
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect,
        "scope": " ".join(client.scopes),
        "state": attempt.state,
        "nonce": attempt.nonce,
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if client.resource:
        asked["resource"] = client.resource
    if "offline_access" in client.scopes:
        asked["prompt"] = "consent"  # OpenID Connect Core 11: else the scope is passed over
    joint = "&" if "?" in provider.authorization else "?"
    return f"{provider.authorization}{joint}{urlencode(asked)}"


def code_in(query: str, provider: Provider) -> str:
    """The code of an answer with our state; raises `Failure` for a refusal or another provider's answer."""
    found = parse_qs(query)
    issuers, errors, codes = (found.get(name, []) for name in ("iss", "error", "code"))
    if issuers != [provider.issuer] and (issuers or provider.names_itself):
        # Mix-up: a code of one provider's would be handed to another (RFC 9207 2.4).
        raise Failure("the answer came from another provider; nothing was sent to it. Log in again")
    if errors:
        described = found.get("error_description", [""])[0][:300]
        said = f"{errors[0][:100]}: {described}" if described else errors[0][:100]
        raise Failure(f"the provider did not log you in: {said}", Exit.NOT_PERMITTED)
    if len(codes) != 1:
        raise Failure("the provider's answer has no code; log in again")
    return codes[0]
