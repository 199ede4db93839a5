"""Several processes find nothing wrong where an erasure goes on between the views that they have."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from tests.store.damaged_rows import put
from tests.store.erased_names import asked
from tests.store.erasures_cut_off import ALICE, cut_off
from tests.store.forgetting import ORDER, rows
from tests.store.forgotten import KEY

from authz_service.store.record_reader import RecordReader, reading
from authz_service.store.verify_ahead import Ahead, Helpers
from authz_service.store.verify_store import verify_store


@contextmanager
def a_moment_later(url: str, session: str) -> Iterator[RecordReader]:
    """A view that begins once the erasure has come to these payloads; its tombstone is not there yet."""
    with closing(sqlite3.connect(make_url(url).database or "", isolation_level=None)) as database:
        database.execute("PRAGMA busy_timeout = 5000")
        for (body,) in database.execute("SELECT body FROM entries WHERE session = ?", (session,)).fetchall():
            for ref in json.loads(body)["payloads"].values():
                database.execute("DELETE FROM payloads WHERE digest = ?", (bytes.fromhex(ref["digest"]),))
    with reading(url) as reader:
        yield reader


def has_started(self: Ahead) -> bool:
    wait([self._started] if self._started is not None else [])
    return self._started is not None


def told(place: Any, view: Any) -> list[tuple[str, str]]:
    """What is wrong by a view that begins now, and one that another process opens."""
    with reading(place.url) as reader:
        reader.largest()  # its view begins
        helpers = Helpers(partial(view, place.url), 2)
        report = verify_store(reader, keys=[KEY.vkey], kept=(), helpers=helpers)
    return [(wrong.record, wrong.what) for wrong in report.wrong]


def test_an_erasure_that_goes_on_meanwhile_makes_nothing_wrong(
    sqlite_url: str, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make.place(sqlite_url)

    monkeypatch.setattr(Ahead, "has_started", has_started)

    async def scenario() -> None:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            await asked(place, make, store, "s1", ALICE)
            await cut_off(place, store, monkeypatch, "_carry_out")

    run(scenario())

    assert told(place, reading) == []
    assert told(place, partial(a_moment_later, session="s1")) == []


def test_what_an_erasure_that_is_repeated_takes_meanwhile_is_counted_in_one_view(
    sqlite_url: str, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came back, as with a backup, and goes again; that the erasure is done was on record before."""
    place = make.place(sqlite_url)
    monkeypatch.setattr(Ahead, "has_started", has_started)

    async def scenario() -> list[Any]:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            await asked(place, make, store, "s1", ALICE)
            before = rows(place, "SELECT digest, salt, body, at, retention FROM payloads")
            await store.forgetting.erase(place.pseudonym(ALICE.identity), ORDER)
            return before

    came_back = run(scenario())
    names = "digest, salt, body, at, retention"
    back = f"INSERT INTO payloads ({names}) VALUES (:digest, :salt, :body, :at, :retention)"
    for row in came_back:
        put(place, back, **row._mapping)
    assert told(place, partial(a_moment_later, session="s1")) == []
    assert rows(place, "SELECT count(*) FROM payloads") != [(len(came_back) + 1,)]
