"""An operator ends an exchange whose process has lost it: where Envoy brings it next it does not go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from tests.servers.exchanges_again import stream
from tests.servers.ext_proc_fakes import serving
from tests.servers.killed_exchanges import kill, said
from tests.store.drafts import Make

from authz_service.core.live_sessions import LiveSessions
from authz_service.core.stored_holds import HoldLimits
from authz_service.keys.ids import new_id


@pytest.mark.parametrize("is_known", [False, True])
def test_it_is_refused_with_the_operators_word(tmp_path: Path, is_known: bool) -> None:
    async def scenario() -> None:
        held = new_id("ses")
        async with asyncio.timeout(60), serving(tmp_path) as service:
            await service.store.open_hold(Make().hold(held), HoldLimits())
            await kill(cast(LiveSessions, service.store), held)
            if is_known:  # to have begun before, as in a process that was started since
                service.gateway.started_at += 3600
            async with stream(service, held) as again:
                await again.next()
                assert said(again) == "ended_by_operator"
                assert again.responses[0].immediate_response.status.code == 403
            kinds = await service.kinds(held)
            assert "exchange.resumed" not in kinds
            assert kinds[-4:] == ["session.killed", "hold.killed", "request.refused", "exchange.ended"]

    asyncio.run(scenario())
