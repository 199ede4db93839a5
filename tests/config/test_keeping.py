"""How long the record is kept, and where its keys are, as the file says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from authz_service.config.keeping_values import Keep, Keeping, KeyPlace
from authz_service.config.read import Loaded

DAY = 86_400.0


def test_what_is_left_out_is_kept_for_its_default_time(load: Callable[[str], Loaded], smallest: str) -> None:
    keeping = load(smallest).config.record.keeping
    assert keeping == Keeping(Keep(400 * DAY, 90 * DAY), KeyPlace(None, None, None))


def test_times_and_places_are_read(load: Callable[[str], Loaded], smallest: str) -> None:
    text = """\
record:
  keep: {entries: 365d, payloads: 48h, originals: 0d}
  keys: {url: "postgresql://keys@db/keys", master: {file: record.key}}
"""
    keeping = load(smallest + text).config.record.keeping
    assert keeping.keep == Keep(365 * DAY, 2 * DAY)
    assert keeping.keys == KeyPlace("postgresql://keys@db/keys", Path("/etc/authz/record.key"), None)


def test_the_master_key_may_be_in_the_environment(load: Callable[[str], Loaded], smallest: str) -> None:
    keeping = load(smallest + "record: {keys: {master: {environment: AUTHZ_MASTER_KEY}}}\n").config.record
    assert keeping.keeping.keys.master_variable == "AUTHZ_MASTER_KEY"
