"""What was committed late is remembered as long as somebody could record it again, and no longer."""

from __future__ import annotations

import gc
import time
from typing import Any
from weakref import ref

import pytest

from authz_service.store.sqlite import Sqlite


def test_a_draft_that_was_committed_late_is_recorded_once_and_goes_with_who_has_it(
    sqlite_url: str, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Sqlite.commit

    def slow(self: Sqlite, connection: Any) -> None:
        time.sleep(0.3)  # this is the late commit: with this patience, it counts as one that may be retried
        whole(self, connection)

    monkeypatch.setattr(Sqlite, "commit", slow)

    async def scenario() -> None:
        async with make.place(sqlite_url).store(patience=1.2) as store:
            released = make.released("s1", b"approved bytes")
            await store.append(make.received("s1"), released)
            await store.append(released)
            gone = ref(released)
            del released
            await store.append(make.released("s1", b"others"))
            kinds = [entry.kind for entry in await store.entries("s1")]
            assert kinds.count("request.released") == 2
            gc.collect()
            assert gone() is None

    run(scenario())
