"""A configuration's keys: made at the first start, found later, and read beside a service that runs."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from authz_service.config.keeping_values import Keeping, KeyPlace
from authz_service.config.record_values import Record
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.store.location import keys_url
from authz_service.store.record_keys import open_record_keys, reading_keys


class Configuration:
    """The part of a configuration that names the keys."""

    def __init__(self, place: KeyPlace | None = None, store: str = "sqlite:///authz.db") -> None:
        self.record = Record(keeping=Keeping(keys=place or KeyPlace()))
        self.store_url = store


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    return DataDir.open(tmp_path / "data")


def test_the_first_start_makes_both_closed_to_others(data: DataDir) -> None:
    config: Any = Configuration()
    keyring = open_record_keys(config, data)
    key = keyring.current("p-alice")
    with reading_keys(config, data) as beside:
        assert beside is not None
        assert beside.key(key.id) == key.key
        assert beside.key("none") is None
    keyring.close()
    for name in ("keys.db", "master.key"):
        assert stat.S_IMODE((data.root / name).stat().st_mode) == 0o600
    again = open_record_keys(config, data)
    assert again.current("p-alice") == key
    again.close()


def test_who_only_reads_makes_nothing(data: DataDir) -> None:
    config: Any = Configuration()
    before = sorted(data.root.iterdir())
    with reading_keys(config, data) as keys:
        assert keys is None
    assert sorted(data.root.iterdir()) == before


def test_a_master_key_that_the_file_names_is_never_made(data: DataDir, tmp_path: Path) -> None:
    config: Any = Configuration(KeyPlace(master_file=tmp_path / "named.key"))
    with pytest.raises(Misconfigured, match=r"named\.key is missing"):
        open_record_keys(config, data)
    assert not (tmp_path / "named.key").exists()


def test_keys_and_record_in_one_database_are_refused(data: DataDir) -> None:
    config: Any = Configuration(KeyPlace(url="sqlite:///authz.db"))
    with pytest.raises(Misconfigured, match="separate databases"):
        keys_url(config, data)
    other: Any = Configuration(replace(config.record.keeping.keys, url="sqlite:///mine.db"))
    assert keys_url(other, data) == f"sqlite:///{data.root}/mine.db"


def test_who_only_reads_is_told_of_a_master_key_that_is_another(data: DataDir) -> None:
    config: Any = Configuration()
    open_record_keys(config, data).close()
    data.master_key.write_text("0" * 64)
    refused = pytest.raises(Misconfigured, match="is not the master key of this record's keys")
    with refused, reading_keys(config, data):
        pass
