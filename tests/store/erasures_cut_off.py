"""An erasure that is cut off on its way, and whether what it should take can be read."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.erased_names import ISSUER
from tests.store.forgetting import ORDER

from authz_service.errors import Unavailable
from authz_service.store.erasures import Erasures
from authz_service.view.caller import Caller

ALICE = Caller(ISSUER, "alice", 0.0)


async def cut_off(
    place: Any, store: Any, monkeypatch: pytest.MonkeyPatch, step: str = "_destroy", who: str = "alice"
) -> None:
    """An erasure is ordered, and comes as far as this step."""

    async def away(*_: Any) -> None:
        raise Unavailable("the key store is away", code="key_store_unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(Erasures, step, away)
        with pytest.raises(Unavailable):
            await store.forgetting.erase(place.pseudonym((ISSUER, who)), ORDER)


async def is_readable(store: Any, session: str) -> bool:
    return bool((await store.entries(session))[1].payloads)
