"""A unit of work of many is sized by how long the last one held the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from authz_service.errors import Unavailable
from authz_service.store import pace
from authz_service.store.pace import AIM_SECONDS, Pace
from authz_service.store.transaction import Transaction

Work = Callable[[Transaction], Any]


def test_what_holds_the_writer_too_long_is_made_smaller_and_what_leaves_time_larger() -> None:
    paced = Pace(100, 10, 400)
    for seconds, most in ((AIM_SECONDS, 100), (AIM_SECONDS * 1.25, 80), (AIM_SECONDS / 1.1, 88)):
        paced.took(seconds)
        assert paced.most == most


def test_one_that_took_much_longer_or_shorter_moves_it_a_step_within_its_bounds() -> None:
    paced = Pace(100, 40, 400)
    sizes = []
    for seconds in (9.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0):
        paced.took(seconds)
        sizes.append(paced.most)
    assert sizes == [50, 40, 60, 90, 135, 202, 303, 400, 400]


def test_one_that_fails_is_a_quarter_the_next_time() -> None:
    async def fails(_work: Work) -> None:
        raise Unavailable("it takes too long")

    paced = Pace(400, 32, 400)
    for most in (100, 32, 32):
        with pytest.raises(Unavailable):
            asyncio.run(paced.run(fails, lambda _: None))
        assert paced.most == most


def test_the_time_counts_from_when_the_writer_began_with_it_until_it_is_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def waits_then_commits(work: Work) -> Any:
        now[0] += 60.0
        result = work(cast(Transaction, None))
        now[0] += AIM_SECONDS * 2
        return result

    paced = Pace(100, 10, 400)
    assert asyncio.run(paced.run(waits_then_commits, lambda _: "done")) == "done"
    assert paced.most == 50
