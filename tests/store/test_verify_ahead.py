"""Several processes find what one finds, in the same order, whatever becomes of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from tests.store.filled_record import KEY, change, fill, rows_of

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.errors import Unavailable
from authz_service.store import verify_ahead
from authz_service.store.record_reader import RecordReader, reading
from authz_service.store.schema import entries, payloads, sessions
from authz_service.store.verify_ahead import Ahead, Helpers
from authz_service.store.verify_store import verify_store

PAGES = 3


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helped with from the first entry on: the others are waited for while they start."""

    def has_started(self: Ahead) -> bool:
        if self._started is not None:
            wait([self._started])
        return self._started is not None

    monkeypatch.setattr(Ahead, "has_started", has_started)


@pytest.fixture
def large(place: Any, make: Any, run: Any) -> Any:
    """Some pages of entries, of which every tenth has a payload of its own."""

    async def more() -> None:
        await fill(place, make)
        async with place.store(signer=KEY) as store:
            for start in range(0, 4096 * (PAGES - 1), 2048):
                await store.append(*(counted(number) for number in range(start, start + 2048)))

    run(more())
    return place


def counted(number: int) -> EntryDraft:
    payload = {} if number % 10 else {"source": f"10.0.0.{number}".encode()}
    return EntryDraft(Kind.REFUSALS_COUNTED, None, {"code": "x", "count": number}, payload)


def told(place: Any, helpers: Helpers | None) -> Any:
    with reading(place.url) as reader:
        report = verify_store(reader, keys=[KEY.vkey], kept=(), helpers=helpers)
    return report.size, report.root, report.payloads, report.count, report.wrong


def helped(place: Any) -> Helpers:
    return Helpers(partial(reading, place.url), 3)


def away(url: str) -> AbstractContextManager[RecordReader]:
    raise Unavailable("the store is away for this process")


@contextmanager
def killed(url: str) -> Iterator[RecordReader]:
    with reading(url) as reader:
        os.kill(os.getpid(), signal.SIGKILL)
        yield reader


@pytest.mark.parametrize("view", [reading, away, killed])
def test_whatever_becomes_of_the_others_nothing_is_wrong_with_what_nobody_changed(
    large: Any, view: Any
) -> None:
    alone = told(large, None)
    assert told(large, Helpers(partial(view, large.url), 3)) == alone
    assert (alone[0] > 4096 * (PAGES - 1), alone[3]) == (True, 0)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("view", [reading, killed])
def test_what_was_changed_is_found_in_the_same_order(large: Any, view: Any) -> None:
    with_payloads = [row.digest for row in rows_of(large, payloads)]
    change(
        large,
        delete(payloads).where(payloads.c.digest == with_payloads[0]),
        update(payloads).where(payloads.c.digest == with_payloads[-1]).values(body=b"other"),
        update(payloads).where(payloads.c.digest == with_payloads[7]).values(at=1),
        update(sessions).values(model="other"),
        update(entries).where(entries.c.seq == 5000).values(body=b"{}"),
    )
    alone = told(large, None)
    assert alone[3] >= 5
    assert told(large, Helpers(partial(view, large.url), 3)) == alone


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_gap_of_many_numbers_is_passed_over_together(large: Any) -> None:
    change(large, delete(entries).where(entries.c.seq.between(4000, 8300)))
    alone = told(large, None)
    assert ("entries 4000 to 8300", "missing") in [(wrong.record, wrong.what) for wrong in alone[4]]
    assert told(large, helped(large)) == alone


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_they_are_asked_and_answer(large: Any) -> None:
    with reading(large.url) as reader:
        last, wanted = reader.largest(), select(entries.c.seq).limit(1)
        assert reader.read(wanted).scalar() is not None
    with verify_ahead.ahead(helped(large), last=last, told=0) as others:
        others.begin(1)
        assert others.page(2) is None
        found = others.page(1)
    assert found is not None
    assert found.count > 0
    with verify_ahead.ahead(helped(large), last=last, told=1) as others:
        others.begin(1)
        assert others.page(1) is None, "more was let go of in their view"
