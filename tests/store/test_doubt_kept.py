"""What was committed late is remembered as long as somebody could record it again, and no longer."""

from __future__ import annotations

import gc
from typing import Any
from weakref import ref

import pytest
from tests.store.places import PATIENCE

from authz_service.store import batch


def test_a_draft_that_was_committed_late_is_recorded_once_and_goes_with_who_has_it(
    sqlite_url: str, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        batch, "NEARLY_OVERDUE", 2 * PATIENCE
    )  # each commit is so late that it may be retried

    async def scenario() -> None:
        async with make.place(sqlite_url).store() as store:
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
