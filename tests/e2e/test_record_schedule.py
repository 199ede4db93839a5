"""A service says on record when it starts and stops, and purges by itself what has had its time."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from tests.commands.record_commands import Stopped
from tests.e2e.faults import kill_up
from tests.e2e.people import ask, until
from tests.e2e.stack import CONFIG, Stack

from authz_service.store.open import open_store

KEEPING = CONFIG + "record: {{keep: {{payloads: 1d, originals: 0h}}}}\n"
TWO_DAYS = 2 * 86_400.0


def recorded(stack: Stack, *kinds: str) -> list[dict[str, Any]]:
    """The entries of some kinds, in order."""
    with closing(sqlite3.connect(f"file:{stack.data / 'authz.db'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT body FROM entries WHERE body != x'' ORDER BY seq").fetchall()
    return [entry for entry in (json.loads(body) for (body,) in rows) if entry["kind"] in kinds]


def test_each_start_and_each_stop_of_a_service_is_an_entry(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        kill_up(stack)
        stack.start()
    entries = recorded(stack, "service.started", "service.stopped")
    kinds = [entry["kind"] for entry in entries]
    # What is killed leaves no entry of its own.
    assert kinds == ["service.started", "service.started", "service.stopped"]
    for entry in entries:
        if entry["kind"] == "service.started":
            assert entry["data"]["version"] == metadata.version("authz-service")
            assert entry["data"]["four_eyes"] is False
    assert len(recorded(stack, "policy.activated")) == 2


def test_a_service_purges_by_itself_what_has_had_its_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        then = partial(open_store, clock=lambda: time.time() - TWO_DAYS)
        patched.setattr("authz_service.runtime.record.open_store", then)
        Stopped(tmp_path)
    with Stack(tmp_path, config=KEEPING) as stack:
        ask(stack.sdk("amy", "staff"), "Hello")
        purged = until(lambda: recorded(stack, "record.purged"), "a purge")
        old = stack.session("ses_alice")
        new = stack.session(stack.cli_json("session", "list", "--caller", "amy")[0]["id"])
        verified = json.loads(
            stack.cli("audit", "verify", "--config", str(stack.config_file), "--json").stdout
        )
    (tombstone,) = purged
    assert (tombstone["data"]["class"], tombstone["data"]["payloads"]) == ("payloads", 4)
    assert tombstone["data"]["policy"] == "record.keep.payloads: 1d"
    why = [lost["why"] for event in old["events"] for lost in event["missing"]]
    assert len(why) == 2
    assert all("record.keep.payloads: 1d" in each for each in why), why
    assert new["request"] is not None
    assert not any(event["missing"] for event in new["events"])
    assert verified["ok"], verified
