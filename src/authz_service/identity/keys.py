"""JSON Web Keys (RFC 7517): which public keys a document holds, and what each may verify."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

SMALLEST_RSA_KEY = 2048  # bits (RFC 7518 3.3)
MOST_KEYS = 100

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

# The whole list of algorithms: signatures with a public key only. A shared secret (HS256) would let
# whoever knows the public key sign (RFC 8725 2.1), and "none" lets everybody.
KEY_TYPES: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key. `digest` is that of the key itself, so that a replaced key is another key.

    `algorithm` is set where the issuer names the only one that the key is for.
    """

    kid: str | None
    type: str
    curve: str | None
    algorithm: str | None
    digest: str
    public: PublicKey = field(compare=False, repr=False)

    def fits(self, algorithm: str) -> bool:
        """Whether a signature by `algorithm` may be checked with this key (RFC 8725 3.1)."""
        return KEY_TYPES.get(algorithm) == (self.type, self.curve) and self.algorithm in (None, algorithm)


def verifying_key(
    public: PublicKey, *, type: str, curve: str | None, kid: str | None, algorithm: str | None
) -> VerifyingKey:
    """A key with its digest."""
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return VerifyingKey(kid, type, curve, algorithm, hashlib.sha256(der).hexdigest(), public)


def read_jwks(document: bytes) -> tuple[VerifyingKey, ...]:
    """The keys of a JWK Set that we can use; raises `ValueError` for what is no JWK Set."""
    return keys_in(orjson.loads(document))


def keys_in(content: object) -> tuple[VerifyingKey, ...]:
    """The same of a document that is parsed already.

    Keys of other kinds are skipped (RFC 7517 5): for encryption, of an unknown type, too short, or
    private ones, which nobody should have published.
    """
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise ValueError('not a JWK Set: no list "keys"')
    if len(entries) > MOST_KEYS:
        raise ValueError(f"more than {MOST_KEYS} keys")
    keys = (_read_key(entry) for entry in entries)
    return tuple(dict.fromkeys(key for key in keys if key is not None))  # some sets list a key twice


def select(keys: Iterable[VerifyingKey], kid: str | None, algorithm: str) -> Sequence[VerifyingKey]:
    """The keys that a token with this header may have been signed with.

    A token without `kid` may match any key, so one match is needed there (and enough everywhere).
    """
    return [key for key in keys if key.fits(algorithm) and kid in (None, key.kid)]


def _read_key(entry: object) -> VerifyingKey | None:
    if not isinstance(entry, dict) or not _is_for_verifying(entry):
        return None
    kid, algorithm, type = entry.get("kid"), entry.get("alg"), entry.get("kty")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    curve = None if type == "RSA" else entry.get("crv")
    if (type, curve) not in KEY_TYPES.values():
        return None
    public = _public_key(entry)
    if public is None:
        return None
    return verifying_key(public, type=str(type), curve=curve, kid=kid, algorithm=algorithm)


def _is_for_verifying(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    is_private = "d" in entry or "k" in entry
    is_allowed = isinstance(operations, list) and "verify" in operations
    return is_allowed and not is_private and entry.get("use", "sig") == "sig"


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    try:
        match entry["kty"]:
            case "RSA":
                key: object = RSAAlgorithm.from_jwk(entry)
            case "EC":
                key = ECAlgorithm.from_jwk(entry)
            case _:
                key = OKPAlgorithm.from_jwk(entry)
    except (InvalidKeyError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, AttributeError):
        return None  # a malformed member; the other keys of the set may be good
    if isinstance(key, RSAPublicKey):
        return key if key.key_size >= SMALLEST_RSA_KEY else None
    return key if isinstance(key, EllipticCurvePublicKey | Ed25519PublicKey) else None
