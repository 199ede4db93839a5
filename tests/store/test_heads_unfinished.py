"""A COMMIT that failed leaves a signed head behind, which nothing may believe."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from tests.store.hurry import Hurry
from tests.store.lossy import Loss, lossy
from tests.store.places import PATIENCE
from tests.store.verifying import KEY

from authz_service.errors import Unavailable
from authz_service.store.sqlite import Sqlite


@pytest.mark.postgres
def test_a_probe_after_a_lost_commit_leaves_the_record_open(
    postgres_url: str, make: Any, run: Any, hurry: Hurry
) -> None:
    async def scenario() -> None:
        with lossy(postgres_url) as proxy:
            async with make.place(proxy.url).store(signer=KEY) as store:
                await store.append(make.received("s1"))
                proxy.lose(Loss.COMMIT, and_stay_away=True)
                with pytest.raises(Unavailable):
                    await hurry.until_given_up(PATIENCE, store.append(make.received("s2")), proxy)
                proxy.come_back()
                await store.probe()
                await store.append(make.received("s3"))

    run(scenario())


def test_a_sweep_after_a_commit_without_room_leaves_the_record_open(
    sqlite_url: str, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, is_full = Sqlite.commit, [False]

    def commit(self: Sqlite, connection: Any) -> None:
        if is_full[0]:
            is_full[0] = False
            raise sqlite3.OperationalError("database or disk is full")
        whole(self, connection)

    monkeypatch.setattr(Sqlite, "commit", commit)

    async def scenario() -> None:
        async with make.place(sqlite_url).store(signer=KEY) as store:
            await store.append(make.received("s1"))
            is_full[0] = True
            with pytest.raises(Unavailable):
                await store.append(make.received("s2"))
            await store.expire_overdue()
            await store.append(make.received("s3"))

    run(scenario())
