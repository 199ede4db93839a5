"""Processes are started for what their help saves, and not for a record that is verified sooner without."""

from __future__ import annotations

import os
from typing import Any

import pytest
from tests.store.filled_record import KEY
from tests.store.test_verify_ahead import counted

from authz_service.store.record_reader import reading
from authz_service.store.verify_jobs import MOST_JOBS, Work, default_jobs, work_of


@pytest.mark.parametrize(
    ("work", "jobs"),
    [
        (Work(0, 0, 0), 1),
        (Work(150_000, 0, 0), 1),
        (Work(50_000_000, 0, 0), 1),
        (Work(600_000, 300_000, 3e8), 1),
        (Work(6_000_000, 3_000_000, 3e9), 2),
        (Work(20_000, 10_000, 1e9), 1),
        (Work(20_000, 10_000, 10e9), 40),
    ],
)
def test_what_payloads_take_says_how_many_help(work: Work, jobs: int) -> None:
    assert work.jobs == jobs


def test_there_are_no_more_than_processors_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = Work(20_000, 10_000, 10e9)
    monkeypatch.setattr("authz_service.store.verify_jobs.work_of", lambda reader: heavy)
    for processors, expected in ((1, 1), (2, 3), (64, MOST_JOBS)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, n=processors: set(range(n)))
        assert default_jobs(None) == expected  # type: ignore[arg-type]  # it is not asked


def test_the_work_is_told_from_some_of_the_entries(place: Any, run: Any) -> None:
    async def fill() -> None:
        async with place.store(signer=KEY) as store:
            for start in range(0, 8000, 2000):
                await store.append(*(counted(number) for number in range(start, start + 2000)))

    run(fill())
    with reading(place.url) as reader:
        work = work_of(reader)
        assert work.entries >= 8000
        assert 600 < work.payloads < 1000, "every tenth of these entries has one"
        assert 6 < work.size / work.payloads < 14
        assert default_jobs(reader) == 1
