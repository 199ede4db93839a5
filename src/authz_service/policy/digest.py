"""The digest that names a policy in every decision that it made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

DOMAIN = "authz-policy-v1"


def policy_digest(document: Mapping[str, object]) -> str:
    """Hex SHA-256 over everything that changes what is decided or masked.

    `document` holds strings, whole numbers, booleans, lists and mappings with string keys; the order
    of keys has no meaning, that of lists has.
    """
    canonical = json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(f"{DOMAIN}\n{canonical}".encode()).hexdigest()
