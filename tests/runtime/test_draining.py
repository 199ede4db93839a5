"""In what order a process that stops lets go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from authz_service.runtime.draining import ANSWER_SECONDS, drain
from authz_service.runtime.gateway import Ending


class Waiting:
    """Notes what it is told."""

    total = untold = 0

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.told.append(name)


@pytest.mark.parametrize(
    ("seconds", "before"), [(8.0, ["leave_models"]), (ANSWER_SECONDS + 8.0, [])], ids=["too late", "in time"]
)
def test_no_model_is_asked_from_the_first_moment_of_a_stop_that_is_shorter_than_an_answer(
    monkeypatch: pytest.MonkeyPatch, seconds: float, before: list[str]
) -> None:
    waiting = Waiting()
    gateway: Any = SimpleNamespace(
        waiting=waiting, live=set(), running={}, reading={}, marks=None, ending=Ending.NEXT, is_stopping=False
    )
    first: list[list[str]] = []

    async def settled(_seconds: float) -> None:
        first.append(list(waiting.told))

    monkeypatch.setattr(asyncio, "sleep", settled)
    asyncio.run(drain(gateway, seconds=seconds))
    assert first[0] == before
    assert waiting.told[-2:] == ["leave_models", "stop"]
