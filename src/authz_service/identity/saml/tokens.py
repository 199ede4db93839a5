"""Tokens of ours for those who came by an assertion, signed with a key that all replicas derive alike."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authz_service.config.identity_values import SamlProvider
from authz_service.config.model import Config
from authz_service.identity.keys import VerifyingKey, verifying_key
from authz_service.identity.saml.box import derived
from authz_service.keys.ids import new_id

ALGORITHM: Final = "EdDSA"


class Door(StrEnum):
    """Which of our two doors a token is for, by the name of the client that a login acts as.

    A token has one use: that of an application must not be able to vote.
    """

    REVIEW = "authz-review"
    GATEWAY = "authz-gateway"

    @property
    def needs_person(self) -> bool:
        """Whether somebody must log in anew: with the provider's session alone a program could vote."""
        return self is Door.REVIEW

    def audience(self, config: Config, provider: SamlProvider) -> str:
        """The `aud` that this door takes from the provider's people."""
        return config.review.audience if self is Door.REVIEW else provider.audience


class TokenSigner:
    """Signs with an Ed25519 key that is derived from 32 bytes or more of the data directory."""

    def __init__(self, secret: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(derived(secret, b"authz saml tokens 1"))
        public = self._private.public_key()
        bare = verifying_key(public, type="OKP", curve="Ed25519", kid=None, algorithm=ALGORITHM)
        self.key = VerifyingKey(bare.digest[:16], bare.type, bare.curve, ALGORITHM, bare.digest, public)

    def sign(
        self, issuer: str, claims: Mapping[str, Any], *, audience: str, now: float, until: float
    ) -> tuple[str, str]:
        """A token and its `jti`."""
        token_id = new_id("tok")
        told = {
            **claims,
            "iss": issuer,
            "aud": audience,
            "iat": int(now),
            "exp": int(until),
            "jti": token_id,
        }
        return jwt.encode(told, self._private, algorithm=ALGORITHM, headers={"kid": self.key.kid}), token_id
