"""A first start that is cut off anywhere is made again by the next one, with all that it had to record."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.starter import starter_text
from authz_service.errors import Misconfigured
from authz_service.keys.data_dir import DataDir
from authz_service.runtime.record import Record, open_record

FIRST_VERSION = Path(__file__).parent.parent / "store" / "first_version.db.gz"


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    data = DataDir.open(tmp_path / "data")
    (data.root / "authz.yaml").write_text(starter_text(model_url="http://127.0.0.1:9"))
    return data


async def opened(data: DataDir) -> Record:
    config = load_config(data.root / "authz.yaml").config
    return await open_record(config, data, instance="i", pseudonym=str)


def start(data: DataDir, *, upto: str = "the end") -> list[Kind]:
    """What a start had to record first; it is cut off where `upto` says."""

    async def run() -> list[Kind]:
        record = await opened(data)
        try:
            if upto != "opening":
                await record.store.append(*record.first, EntryDraft(Kind.SERVICE_STARTED))
                if upto != "recording":
                    record.begun()
            return [draft.kind for draft in record.first]
        finally:
            await record.store.close()

    return asyncio.run(run())


@pytest.mark.parametrize("is_upgrade", [False, True])
def test_the_logs_key_is_named_by_the_record_once_wherever_the_first_start_ended(
    data: DataDir, is_upgrade: bool
) -> None:
    """A record of the first version has entries under a head that nobody signed."""
    if is_upgrade:
        data.database.write_bytes(gzip.decompress(FIRST_VERSION.read_bytes()))
        data.database.chmod(0o600)
    assert start(data, upto="opening") == [Kind.LOG_KEY_CREATED]
    assert start(data, upto="recording") == [Kind.LOG_KEY_CREATED]
    assert start(data) == []
    assert not data.log_key.with_name("log.key.unused").exists()
    assert start(data) == []


def test_a_key_without_the_record_that_it_signed_signs_no_unsigned_one(data: DataDir) -> None:
    start(data)
    data.database.unlink()
    data.database.write_bytes(gzip.decompress(FIRST_VERSION.read_bytes()))
    data.database.chmod(0o600)
    with pytest.raises(Misconfigured):
        start(data)
