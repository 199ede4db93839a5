"""Our own issuer, for one person trying things out: a key in the data directory that signs tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authz_service.errors import Misconfigured
from authz_service.identity.keys import VerifyingKey, verifying_key
from authz_service.identity.token import LONGEST_NAME
from authz_service.keys.files import load_or_create
from authz_service.keys.ids import new_id
from authz_service.view.scope import is_word

EMBEDDED_ISSUER = "urn:authz:embedded"
GATEWAY_AUDIENCE = "authz-gateway"
ALGORITHM = "EdDSA"
LONGEST_TTL = 86_400.0
"""Seconds that a token of ours may be valid for, at most."""


class EmbeddedIssuer:
    """Signs tokens with an Ed25519 key that only this machine has."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        public = private.public_key()
        bare = verifying_key(public, type="OKP", curve="Ed25519", kid=None, algorithm=ALGORITHM)
        self.key = VerifyingKey(bare.digest[:16], bare.type, bare.curve, ALGORITHM, bare.digest, public)

    @classmethod
    def load(cls, path: Path) -> EmbeddedIssuer:
        """The issuer whose key is in `path` (PEM, 0600), made if it is missing.

        Raises `Misconfigured` for a file that others may read or that holds no Ed25519 key.
        """
        content = load_or_create(path, _new_pem)
        try:
            private = serialization.load_pem_private_key(content, password=None)
        except (ValueError, TypeError) as error:
            raise Misconfigured(
                f"{path} holds no private key that can be read; remove it to get a new one"
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise Misconfigured(
                f"{path} holds a key of another kind than Ed25519; remove it to get a new one"
            )
        return cls(private)

    def sign(
        self,
        subject: str,
        groups: Sequence[str],
        *,
        audience: str,
        ttl: float,
        now: float,
        owner: str | None = None,
        scope: Sequence[str] = (),
    ) -> str:
        """A token for `subject`, valid from `now` for `ttl` seconds (at most a day).

        `owner` is the person who answers for a service account, and `scope` what that may ask for. Raises
        `ValueError` for a name or a word that the verifier would refuse and for a `ttl` out of bounds.
        """
        if not 1 <= ttl <= LONGEST_TTL:
            raise ValueError(f"a token is valid for 1 second to {LONGEST_TTL:.0f}, not {ttl:.0f}")
        for name in (subject, *groups, *([owner] if owner is not None else [])):
            if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
                raise ValueError(f"a name has 1 to {LONGEST_NAME} printable characters")
        if not all(map(is_word, scope)):
            raise ValueError(
                "a scope has words such as model:llama, api:openai_chat, path:/health or tokens:100000"
            )
        claims: dict[str, object] = {
            "iss": EMBEDDED_ISSUER,
            "aud": audience,
            "sub": subject,
            "groups": list(groups),
            "iat": int(now),
            "exp": int(now) + int(ttl),
            "jti": new_id("tok"),
        }
        if owner is not None:
            claims["owner"] = owner
        if scope:
            claims["scope"] = " ".join(scope)
        return jwt.encode(claims, self._private, algorithm=ALGORITHM, headers={"kid": self.key.kid})


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
