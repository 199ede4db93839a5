"""An identity provider with keys of every kind, which signs whatever it is asked to."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from authz_service.identity.issuer import TrustedIssuer
from authz_service.identity.key_sources import FixedKeys
from authz_service.identity.keys import read_jwks

NOW = 1_800_000_000.0


class Provider:
    """Signs whatever it is asked to, right or wrong."""

    url = "https://login.example.com/realms/main"
    audience = "llm-gateway"
    review = "authz-review"
    algorithms = {"rsa": "RS256", "small": "RS256", "ec": "ES256", "ed": "EdDSA", "other": "RS256"}  # noqa: RUF012

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "small": rsa.generate_private_key(65537, 1024),
            "other": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate(),
        }

    def jwk(self, name: str, **changes: Any) -> dict[str, Any]:
        """The public key `name` with its name as key id."""
        algorithm = jwt.get_algorithm_by_name(self.algorithms[name])
        key: dict[str, Any] = algorithm.to_jwk(self.keys[name].public_key(), as_dict=True)
        return key | {"kid": name, "use": "sig"} | changes

    def jwks(self, *names: str) -> bytes:
        """A JWK Set of some keys."""
        return json.dumps({"keys": [self.jwk(name) for name in names]}).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Good claims, but for `changes`; a change to None leaves the claim out."""
        good = {"iss": self.url, "aud": self.audience, "sub": "alice", "iat": NOW, "exp": NOW + 3600}
        return {
            name: value
            for name, value in (good | {"groups": ["staff"]} | changes).items()
            if value is not None
        }

    def token(self, key: str = "rsa", *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A token signed with `key`; `header` adds to its header, `changes` to its claims; None removes."""
        algorithm = jwt.get_algorithm_by_name(self.algorithms[key])
        head = {"alg": self.algorithms[key], "typ": "JWT", "kid": key} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        content = json.dumps(self.claims(**changes)).encode()
        return compact(
            json.dumps(head).encode(), content, lambda message: algorithm.sign(message, self.keys[key])
        )

    def trusted(self, **changes: Any) -> TrustedIssuer:
        """This provider as an issuer that is trusted with all of its good keys."""
        settings: dict[str, Any] = {
            "url": self.url,
            "audience": self.audience,
            "algorithms": ("RS256", "ES256", "EdDSA"),
            "keys": FixedKeys(*read_jwks(self.jwks("rsa", "ec", "ed", "small"))),
        }
        return TrustedIssuer(**(settings | changes))


def compact(header: bytes, payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """A JWS of any octets."""
    message = b".".join(_base64url(part) for part in (header, payload))
    return (message + b"." + _base64url(sign(message))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
