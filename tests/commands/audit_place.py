"""A data directory with a service's record in it, for the tests of what looks at one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from authz_cli.main import cli
from authz_service.audit.draft import EntryDraft, Kind
from authz_service.cel.load import load_config
from authz_service.config.starter import starter_text
from authz_service.keys.data_dir import DataDir
from authz_service.keys.files import load_or_create
from authz_service.runtime.record import open_record
from authz_service.store.record_reader import reading


class Place:
    """A data directory with a service's record in it."""

    def __init__(self, folder: Path) -> None:
        self.data = DataDir.open(folder / "data")
        load_or_create(self.data.pseudonym_key, lambda: bytes(32))
        self.config = self.data.root / "authz.yaml"
        self.config.write_text(starter_text(model_url="http://127.0.0.1:9"))

    def serve(self, entries: int) -> tuple[EntryDraft, ...]:
        """Start, record, take a checkpoint, stop; what the start had to record first."""

        async def run() -> tuple[EntryDraft, ...]:
            config = load_config(self.config).config
            record = await open_record(config, self.data, instance="i", pseudonym=str)
            try:
                await record.store.append(*record.first, *[EntryDraft(Kind.SERVICE_STARTED)] * entries)
                record.begun()
                await record.checkpoints.take()
                return record.first
            finally:
                await record.store.close()

        return asyncio.run(run())

    def run(self, verb: str, *arguments: str) -> Result:
        return CliRunner().invoke(cli, ["audit", verb, *arguments, "--data-dir", str(self.data.root)])

    def change(self, statement: str) -> None:
        with sqlite3.connect(self.data.database) as connection:
            connection.execute(statement)
        connection.close()

    def last(self) -> Any:
        with reading(f"sqlite:///{self.data.database}") as reader:
            row = next(iter(reader.pages(reader.largest(), reader.largest())))[0]
            return json.loads(row.body)
