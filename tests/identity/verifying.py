"""What tests of the verifier of tokens share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from authz_service.errors import Unauthenticated
from authz_service.identity.verifier import Verifier
from authz_service.view.caller import Caller

if TYPE_CHECKING:
    pass


NOW = 1_800_000_000.0


def gateway(verifier: Verifier, token: str) -> Caller:
    return asyncio.run(verifier.verify_gateway(token))


def refusal(verifier: Verifier, token: str) -> str:
    """The code of the refusal, which repeats no part of the token."""
    with pytest.raises(Unauthenticated) as caught:
        gateway(verifier, token)
    for part in token.split("."):
        assert len(part) < 8 or part not in str(caught.value)
    return caught.value.code
